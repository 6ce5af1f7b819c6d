"""Members of an archive flow in, one file that holds them all, or a refusal, flows out."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import BinaryIO, NamedTuple

from traces.bundle.errors import BundleError
from traces.bundle.limits import Limits
from traces.bundle.paths import split_path
from traces.bundle.unpacked import Index, Unpacked

NAME_BYTES = 255  # what comes out as a bundle again has to fit on somebody's disk


class Member(NamedTuple):
    """One file or folder of an archive; `chunks` has to be used up before the next member is asked for."""

    name: str
    is_folder: bool
    size: int
    chunks: Iterator[bytes]


class Budget:
    """Counts what comes out of an archive and refuses to go on where a limit is passed."""

    def __init__(self, limits: Limits, packed_bytes: int) -> None:
        self.limits = limits
        self.packed_bytes = packed_bytes
        self.bytes = 0
        self.entries = 0

    def spend_bytes(self, count: int) -> None:
        """Call for each piece as it is unpacked, before it is kept."""
        self.bytes += count
        limits = self.limits
        if self.bytes > limits.unpacked_bytes:
            raise limits.refusal("unpacked_bytes", f"it unpacks to more than {limits.unpacked_bytes:,} bytes")
        if self.bytes > max(limits.ratio_after_bytes, self.packed_bytes * limits.ratio):
            raise limits.refusal("ratio", f"it unpacks to more than {limits.ratio:,} times its size")

    def spend_entry(self) -> None:
        """Call for each member and for each folder made."""
        self.entries += 1
        self.check_count(self.entries)

    def check_count(self, entries: int) -> None:
        """Call with how many entries an archive says it has."""
        if entries > self.limits.files:
            raise self.limits.refusal("files", f"it holds more than {self.limits.files:,} files and folders")

    def check_file(self, name: str, size: int) -> None:
        """Call with the size a file claims, and with the size it turns out to have."""
        if size > self.limits.file_bytes:
            raise self.limits.refusal("file_bytes", f"{name} is larger than {self.limits.file_bytes:,} bytes")


class Scratch:
    """Members, one behind the other in one file: making a file for each takes longer than reducing them all."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self.file = file
        self.budget = budget
        self.index = Index()
        self._end = 0

    def unpack(self, members: Iterator[Member]) -> Unpacked:
        """Writes every file; a member that cannot be trusted refuses the whole archive."""
        for member in members:
            self.budget.spend_entry()
            names = self._names(member)
            if names and not member.is_folder and not _is_junk(names):
                self.budget.check_file(member.name, member.size)
                self._write(member, names)
        return Unpacked(self.file.fileno(), self.index)

    def _names(self, member: Member) -> list[str]:
        path = member.name.rstrip("/") if member.is_folder else member.name
        if path in {"", "."} and member.is_folder:
            return []
        limits = self.budget.limits
        names = split_path(path, limits)
        if any(len(name.encode()) > NAME_BYTES for name in names):
            raise BundleError(
                f"{member.name[:60]}… has a file name too long for any disk", hint="pack the bundle again"
            )
        if len(names) > limits.folder_depth:
            raise limits.refusal("folder_depth", f"{member.name} lies more than {limits.folder_depth} folders deep")
        return names

    def _write(self, member: Member, names: list[str]) -> None:
        path = self._new_path(member.name, names)
        start = self._end
        for chunk in member.chunks:
            self._end += len(chunk)
            self.budget.check_file(member.name, self._end - start)
            with _room():
                _write(self.file, chunk)
        self.index.files[path] = start, self._end - start

    def _new_path(self, name: str, names: list[str]) -> str:
        """A second member of the same name is refused, and a file where a folder is."""
        folders = list(accumulate(names[:-1], "{}/{}".format))
        path = "/".join(names)
        files, known = self.index.files, self.index.folders
        if path in files or path in known or any(folder in files for folder in folders):
            raise BundleError(f"it holds {name} twice", hint="pack the bundle again")
        for folder in folders:
            if folder not in known:
                self.budget.spend_entry()
                known.add(folder)
        return path


def _write(file: BinaryIO, chunk: bytes) -> None:
    """All of it: the system may take less at a time."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise BundleError(
                "there is no room left to unpack it", hint="free some disk space and try again"
            ) from error
        raise


def _is_junk(names: list[str]) -> bool:
    """What a Mac adds to every archive."""
    return "__MACOSX" in names or names[-1] == ".DS_Store" or names[-1].startswith("._")
