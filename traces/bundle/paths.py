"""A path that somebody's bundle names flows in, the bytes of a regular file inside that bundle flow out.

Nothing here follows a link: each folder is opened from the one before it, so what was checked is what is read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from traces.bundle.errors import BundleError, reason
from traces.bundle.limits import DEFAULT_LIMITS, Limits

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a pipe that nobody writes to must not wait.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MISSING_HINT = "the recording may have been copied before it was complete"


def split_path(path: str, limits: Limits = DEFAULT_LIMITS) -> list[str]:
    """The names on a relative path, refusing every spelling that could lead out of the folder it belongs to."""
    try:
        size = len(path.encode())
    except UnicodeEncodeError as error:
        raise BundleError(f"the path {path[:40]!r} is not text") from error
    if size > limits.path_bytes:
        raise limits.refusal("path_bytes", f"the path {path[:40]!r}… is longer than {limits.path_bytes:,} bytes")
    if not path or path.endswith("/"):
        raise BundleError(f"{path!r} does not name a file")
    if "\0" in path or "\\" in path:
        raise BundleError(f"the path {path!r} has a character that no bundle uses")
    if path.startswith("/") or path[1:2] == ":":
        raise BundleError(f"the path {path!r} is absolute; paths in a bundle are relative to it")
    names = [name for name in path.split("/") if name not in {"", "."}]
    if not names or ".." in names:
        raise BundleError(f"the path {path!r} leaves the bundle")
    return names


@contextmanager
def open_inside(root: Path, path: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[int]:
    """A descriptor of the regular file at this path below `root`."""
    try:
        file = _open(root, split_path(path, limits))
    except OSError as error:
        raise _refusal(path, error) from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise BundleError(f"{path} is not a regular file")
        yield file
    finally:
        os.close(file)


def _open(root: Path, names: list[str]) -> int:
    *folders, name = names
    if not folders:
        return os.open(f"{root}/{name}", _FILE)
    folder = os.open(f"{root}/{folders[0]}", _FOLDER)
    try:
        for inner in folders[1:]:
            outer, folder = folder, os.open(inner, _FOLDER, dir_fd=folder)
            os.close(outer)
        return os.open(name, _FILE, dir_fd=folder)
    finally:
        os.close(folder)


def _refusal(path: str, error: OSError) -> BundleError:
    if isinstance(error, FileNotFoundError):
        return BundleError(f"{path} is missing", hint=MISSING_HINT)
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return BundleError(f"{path} is a link, or lies behind one or in no folder; only files of the bundle are read")
    return BundleError(f"{path} cannot be read: {reason(error)}")


def read_inside(root: Path, path: str, limits: Limits, field: str) -> bytes:
    """The whole file, when it is not larger than this field of the limits says."""
    with open_inside(root, path, limits) as file:
        size = os.fstat(file).st_size
        limits.check_size(field, path, size)
        return _read(file, size, path)


def _read(file: int, size: int, path: str) -> bytes:
    try:
        data = os.read(file, size)
        while len(data) < size and (more := os.read(file, size - len(data))):
            data += more
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {reason(error)}") from error
    return data


def size_inside(root: Path, path: str, limits: Limits = DEFAULT_LIMITS) -> int:
    """How many bytes the file has, without reading it."""
    with open_inside(root, path, limits) as file:
        return os.fstat(file).st_size
