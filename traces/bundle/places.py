"""A folder, or what an archive was unpacked to, flows in; the files in it flow out, by their paths and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from traces.bundle.errors import BundleError, reason
from traces.bundle.limits import DEFAULT_LIMITS, Limits
from traces.bundle.manifest import LOG_NAME, MANIFEST_NAME
from traces.bundle.paths import open_inside, read_inside, size_inside


class Place(Protocol):
    """Where the files of a bundle lie. Paths are relative to it; what is outside cannot be had."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def open(self, path: str, limits: Limits) -> AbstractContextManager[BinaryIO]:
        """A regular file, to read from its start."""
        ...

    def read(self, path: str, limits: Limits, field: str) -> bytes:
        """A whole file, when it is not larger than this field of the limits says."""
        ...

    def size(self, path: str, limits: Limits) -> int:
        """How many bytes a file has."""
        ...

    def files(self, below: str) -> Iterator[str]:
        """The paths of all files in a folder and its folders, folder by folder."""
        ...


class Folder:
    """A folder on disk, which somebody else may change at any time."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def name(self) -> str:
        """Its own name."""
        return self.root.name or str(self.root)

    @contextmanager
    def open(self, path: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[BinaryIO]:
        """A regular file; no link is followed."""
        with open_inside(self.root, path, limits) as file, os.fdopen(file, "rb", closefd=False) as opened:
            yield opened

    def read(self, path: str, limits: Limits, field: str) -> bytes:
        """A whole file."""
        return read_inside(self.root, path, limits, field)

    def size(self, path: str, limits: Limits = DEFAULT_LIMITS) -> int:
        """How many bytes a file has."""
        return size_inside(self.root, path, limits)

    def files(self, below: str) -> Iterator[str]:
        """Paths of files, and of whatever else is no folder."""
        for folder, folders, files in os.walk(self.root / below):
            folders.sort()
            inside = os.path.relpath(folder, self.root)
            yield from sorted(os.path.normpath(f"{inside}/{name}") for name in files)


def find_bundles(folder: Path) -> list[Path]:
    """The folder itself, when it is a bundle, or else the bundles one folder down, by name."""
    try:
        if is_bundle(folder):
            return [folder]
        with os.scandir(folder) as entries:
            inner = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError as error:
        raise BundleError(f"the folder cannot be read: {reason(error)}", where=folder.name) from error
    return [folder / name for name in inner if is_bundle(folder / name)]


def is_bundle(folder: Path) -> bool:
    """Whether a manifest and a log lie here; what is in them does not matter yet."""
    return all(os.path.isfile(folder / name) for name in (MANIFEST_NAME, LOG_NAME))
