"""Files flow in, those that some process of this machine holds open flow out; nothing where that cannot be told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

PROCESSES = Path("/proc")
File = tuple[int, int]
"""A device and a number on it."""


def held_open(paths: Iterable[Path]) -> set[Path] | None:
    """None on systems that do not tell what their processes have open."""
    if not PROCESSES.is_dir():
        return None
    asked = {file: path for path in paths if (file := _file(path)) is not None}
    return {asked[file] for file in _open_files() if file in asked}


def can_tell(path: Path) -> bool:
    """Whether a process that writes this file would be seen: those of other people keep their files to themselves."""
    try:
        return os.geteuid() in (0, path.stat().st_uid)
    except OSError:
        return False


def _open_files() -> Iterator[File]:
    for process in PROCESSES.iterdir():
        if process.name.isdigit():
            yield from _files_of(process / "fd")


def _files_of(descriptors: Path) -> Iterator[File]:
    try:
        names = os.listdir(descriptors)
    except OSError:  # it ended, or is somebody else's
        return
    for name in names:
        file = _file(descriptors / name)
        if file is not None:
            yield file


def _file(path: Path) -> File | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
