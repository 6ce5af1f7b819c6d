"""A folder or an archive of any supported kind flows in, the bundles in it flow out.

Archives are told by their first bytes, never by their name, and unpacked piece by piece into one scratch file.
"""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Protocol, cast

from backports import zstd

from traces.bundle.errors import BundleError, reason
from traces.bundle.limits import DEFAULT_LIMITS, Limits
from traces.bundle.manifest import MANIFEST_NAME
from traces.bundle.places import find_bundles
from traces.bundle.reader import Bundle
from traces.bundle.scratch import Budget, Member, Scratch
from traces.bundle.tars import BLOCK, CHUNK, Read, is_tar_header, tar_members
from traces.bundle.unpacked import Unpacked
from traces.bundle.zips import zip_members

# 128 MB, the largest that zstd itself accepts without being told to.
ZSTD_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 27}
_KINDS = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    **{bytes([0x50 + n]) + b"\x2a\x4d\x18": "zstd" for n in range(16)},  # a frame that only carries a remark
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\0": "an xz file",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a rar archive",
}
_PACKED = (".zip", ".tar", ".gz", ".tgz", ".zst", ".7z", ".rar")
_KNOWN = "a folder, a .zip, .tar, .tar.gz or .tar.zst"


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@contextmanager
def open_bundles(
    path: Path | str, scratch: Path | str | None = None, limits: Limits = DEFAULT_LIMITS, name: str = ""
) -> Iterator[list[Bundle]]:
    """The bundles at the root or one folder down; what was unpacked is gone when the block is left.

    `name` is what people call the file (an upload lies under another name on disk).
    """
    path = Path(path)
    name = name or path.name or str(path)
    if path.is_dir():
        yield _bundles_in(path, name, limits)
        return
    with _scratch_file(scratch, name) as file:
        yield _bundles_of(_unpack(path, file, limits, name), name, limits)


def _scratch_file(scratch: Path | str | None, name: str) -> BinaryIO:
    """A file without a name, which is gone when it is closed, also by a process that is killed."""
    try:
        # Without a buffer: on a full disk it would be full of what cannot be written when the file is closed.
        return cast(BinaryIO, TemporaryFile(dir=scratch, buffering=0))
    except OSError as error:
        raise BundleError(f"there is no place to unpack it: {reason(error)}", where=name) from error


def _bundles_in(folder: Path, name: str, limits: Limits) -> list[Bundle]:
    found = find_bundles(folder)
    if not found:
        raise BundleError(_nothing_in(name))
    return [Bundle(path, name if path == folder else path.name, limits) for path in found]


def _bundles_of(unpacked: Unpacked, name: str, limits: Limits) -> list[Bundle]:
    found = unpacked.bundles()
    if found == [unpacked]:
        _refuse_second(unpacked, name)
    if not found:
        raise BundleError(_nothing_in(name), hint=_deeper(unpacked) or _archive_inside(unpacked))
    return [Bundle(place, place.name or name, limits) for place in found]


def _nothing_in(name: str) -> str:
    return f"No bundle found in {name}: expected manifest.json and trace.jsonl at its root or one folder down"


def _refuse_second(unpacked: Unpacked, name: str) -> None:
    """A bundle inside of a bundle would be left out without a word."""
    for path in unpacked.files(""):
        if path.endswith(f"/{MANIFEST_NAME}"):
            hint = "give each recording a folder of its own and pack these folders"
            raise BundleError(f"it holds two manifests, {MANIFEST_NAME} and {path}", where=name, hint=hint)


def _archive_inside(unpacked: Unpacked) -> str:
    """People pack an archive once more; and some archives hold themselves, without an end."""
    packed = (path for path in unpacked.files("") if path.lower().endswith(_PACKED))
    first = next(packed, "")
    return first and f"it holds another archive, {first}: unpack that one yourself"


def _deeper(unpacked: Unpacked) -> str:
    """People pack a whole home directory: say where in it the first bundle lies."""
    folders = (path.removesuffix(MANIFEST_NAME) for path in unpacked.files("") if path.endswith(f"/{MANIFEST_NAME}"))
    first = next(filter(unpacked.is_bundle, folders), "")
    return first and f"there is one deeper down: pack the folder {first.rstrip('/')} itself"


def _unpack(path: Path, scratch: BinaryIO, limits: Limits, name: str) -> Unpacked:
    if not path.is_file():  # a pipe would wait for ever
        raise BundleError("there is no such file", where=name, hint=f"give {_KNOWN}")
    try:
        with open(path, "rb") as file:
            budget = Budget(limits, os.fstat(file.fileno()).st_size)
            return Scratch(scratch, budget).unpack(_members(path, file, budget))
    except OSError as error:
        raise BundleError(f"it cannot be read: {reason(error)}", where=name) from error
    except BundleError as error:
        raise BundleError(error.what, where=name, hint=error.hint) from error


def _members(path: Path, file: BinaryIO, budget: Budget) -> Iterator[Member]:
    start = file.read(BLOCK)
    file.seek(0)
    kind = next((kind for magic, kind in _KINDS.items() if start.startswith(magic)), "")
    if kind == "zip":
        return zip_members(path, budget)
    if kind == "gzip":
        return tar_members(_unpacked(gzip.GzipFile(fileobj=file), budget))
    if kind == "zstd":
        return tar_members(_unpacked(zstd.ZstdFile(file, options=ZSTD_OPTIONS), budget))
    if is_tar_header(start):
        return tar_members(_unpacked(file, budget))
    raise BundleError(f"this is {kind or 'no archive'}", hint=f"give {_KNOWN}")


class _Source(io.RawIOBase):
    """Unpacked bytes of a stream, counted, with the errors of three libraries in words of ours."""

    def __init__(self, stream: _Readable, budget: Budget) -> None:
        super().__init__()
        self.stream = stream
        self.budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            data = self.stream.read(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError) as error:
            what = f"it is damaged or cut off ({error})"
            raise BundleError(what, hint="copy or upload it again") from error
        self.budget.spend_bytes(len(data))
        buffer[: len(data)] = data
        return len(data)


def _unpacked(stream: _Readable, budget: Budget) -> Read:
    """A tar is read in pieces of 512 bytes: they come out of a buffer."""
    return io.BufferedReader(_Source(stream, budget), CHUNK).read
