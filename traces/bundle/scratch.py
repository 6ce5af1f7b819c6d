"""Members of an archive flow in, files in a scratch folder or a refusal flow out."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from traces.bundle.errors import BundleError, reason
from traces.bundle.limits import Limits
from traces.bundle.paths import split_path


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
    """A new folder that members are unpacked into; all that lies in it was made here, so there are no links in it."""

    def __init__(self, folder: Path, budget: Budget) -> None:
        self.folder = folder
        self.budget = budget
        self._made = {""}

    def unpack(self, members: Iterator[Member]) -> None:
        """Writes every file; a member that cannot be trusted refuses the whole archive."""
        for member in members:
            self.budget.spend_entry()
            names = self._names(member)
            if names and not member.is_folder and not _is_junk(names):
                self.budget.check_file(member.name, member.size)
                self._write(member, names)

    def _names(self, member: Member) -> list[str]:
        path = member.name.rstrip("/") if member.is_folder else member.name
        if path in {"", "."} and member.is_folder:
            return []
        limits = self.budget.limits
        names = split_path(path, limits)
        if len(names) > limits.folder_depth:
            raise limits.refusal("folder_depth", f"{member.name} lies more than {limits.folder_depth} folders deep")
        return names

    def _write(self, member: Member, names: list[str]) -> None:
        try:
            with open(self._create(names), "wb") as file:
                written = 0
                for chunk in member.chunks:
                    written += len(chunk)
                    self.budget.check_file(member.name, written)
                    file.write(chunk)
        except (OSError, UnicodeEncodeError) as error:
            raise _refusal(member.name, error) from error

    def _create(self, names: list[str]) -> int:
        folder = ""
        for name in names[:-1]:
            folder = f"{folder}/{name}"
            self._make_folder(folder)
        # O_EXCL: a second member of the same name is refused, not written over the first.
        return os.open(f"{self.folder}{folder}/{names[-1]}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def _make_folder(self, folder: str) -> None:
        if folder not in self._made:
            self.budget.spend_entry()
            os.mkdir(f"{self.folder}{folder}", 0o700)
            self._made.add(folder)


def _is_junk(names: list[str]) -> bool:
    """What a Mac adds to every archive."""
    return "__MACOSX" in names or names[-1] == ".DS_Store" or names[-1].startswith("._")


def _refusal(name: str, error: OSError | UnicodeEncodeError) -> BundleError:
    if isinstance(error, FileExistsError | IsADirectoryError | NotADirectoryError):
        return BundleError(f"it holds {name} twice", hint="pack the bundle again")
    if isinstance(error, UnicodeEncodeError):
        return BundleError(f"the name {name!r} is not text", hint="pack the bundle again")
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return BundleError("there is no room left to unpack it", hint="free some disk space and try again")
    return BundleError(f"{name} cannot be unpacked: {reason(error)}", hint="pack the bundle again")
