"""One file that holds an archive's members, and where each lies in it, flow in; the members flow out by their paths."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from traces.bundle.errors import BundleError, reason
from traces.bundle.limits import DEFAULT_LIMITS, Limits
from traces.bundle.manifest import LOG_NAME, MANIFEST_NAME
from traces.bundle.paths import MISSING_HINT, split_path

BUFFER = 256 * 1024


@dataclass(slots=True)
class Index:
    """Where each member starts and how long it is, by its path, and the paths of their folders."""

    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: {""})


class Unpacked:
    """A folder of what was unpacked; nothing in it is a link, and nobody changes it."""

    def __init__(self, file: int, index: Index, root: str = "") -> None:
        self.file = file
        self.index = index
        self.root = root

    @property
    def name(self) -> str:
        """The folder's own name; nothing for the archive itself."""
        return self.root.rstrip("/")

    @contextmanager
    def open(self, path: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[BinaryIO]:
        """A member."""
        with io.BufferedReader(_Stretch(self.file, *self._find(path, limits)), BUFFER) as opened:
            yield cast(BinaryIO, opened)

    def read(self, path: str, limits: Limits, field: str) -> bytes:
        """A whole member."""
        start, size = self._find(path, limits)
        limits.check_size(field, path, size)
        try:
            data = os.pread(self.file, size, start)
            while len(data) < size and (more := os.pread(self.file, size - len(data), start + len(data))):
                data += more
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {reason(error)}") from error
        return data

    def size(self, path: str, limits: Limits = DEFAULT_LIMITS) -> int:
        """How many bytes a member has."""
        return self._find(path, limits)[1]

    def files(self, below: str) -> Iterator[str]:
        """The paths of members, those of a folder before those of its folders."""
        prefix = self.root + below + "/" if below else self.root
        inside = (path.removeprefix(self.root) for path in self.index.files if path.startswith(prefix))
        yield from sorted(inside, key=lambda path: (path.count("/"), path))

    def bundles(self) -> list[Unpacked]:
        """Itself, when it is a bundle, or else the bundles one folder down, by name."""
        if self.is_bundle(""):
            return [self]
        inner = sorted({path.split("/", 1)[0] + "/" for path in self.files("") if path.count("/") == 1})
        return [Unpacked(self.file, self.index, self.root + folder) for folder in inner if self.is_bundle(folder)]

    def is_bundle(self, folder: str) -> bool:
        """Whether a manifest and a log lie in this folder, whose path ends in a slash."""
        return all(self.root + folder + name in self.index.files for name in (MANIFEST_NAME, LOG_NAME))

    def _find(self, path: str, limits: Limits) -> tuple[int, int]:
        inside = self.root + "/".join(split_path(path, limits))
        found = self.index.files.get(inside)
        if found is not None:
            return found
        if inside in self.index.folders:
            raise BundleError(f"{path} is not a regular file")
        raise BundleError(f"{path} is missing", hint=MISSING_HINT)


class _Stretch(io.RawIOBase):
    """A part of a file, as a file."""

    def __init__(self, file: int, start: int, size: int) -> None:
        super().__init__()
        self.file, self.at, self.end = file, start, start + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer)
        count = os.preadv(self.file, [view[: self.end - self.at]], self.at) if self.at < self.end else 0
        self.at += count
        return count
