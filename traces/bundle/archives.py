"""A folder or an archive of any supported kind flows in, the bundles in it flow out.

Archives are told by their first bytes, never by their name, and unpacked piece by piece into a scratch folder.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Protocol

from backports import zstd

from traces.bundle.errors import BundleError, reason
from traces.bundle.limits import DEFAULT_LIMITS, Limits
from traces.bundle.manifest import MANIFEST_NAME
from traces.bundle.reader import Bundle, find_bundles, is_bundle
from traces.bundle.scratch import Budget, Member, Scratch
from traces.bundle.tars import BLOCK, is_tar_header, tar_members
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
    with _scratch_folder(scratch, name) as folder:
        _unpack(path, folder, limits, name)
        yield _bundles_in(folder, name, limits, unpacked=True)


@contextmanager
def _scratch_folder(scratch: Path | str | None, name: str) -> Iterator[Path]:
    try:
        temporary = TemporaryDirectory(prefix=f"unpacked-{os.getpid()}-", dir=scratch, ignore_cleanup_errors=True)
    except OSError as error:
        raise BundleError(f"there is no place to unpack it: {reason(error)}", where=name) from error
    with temporary as folder:
        yield Path(folder)


def _bundles_in(folder: Path, name: str, limits: Limits, *, unpacked: bool = False) -> list[Bundle]:
    found = find_bundles(folder)
    if unpacked and found == [folder]:
        _refuse_second(folder, name)
    if not found:
        what = f"No bundle found in {name}: expected manifest.json and trace.jsonl at its root or one folder down"
        raise BundleError(what, hint=_advice(folder) if unpacked else "")
    return [Bundle(path, name if path == folder else path.name, limits) for path in found]


def _refuse_second(folder: Path, name: str) -> None:
    """A bundle inside of a bundle would be left out without a word."""
    for inside, folders, files in os.walk(folder):
        folders.sort()
        if MANIFEST_NAME in files and Path(inside) != folder:
            second = Path(inside).relative_to(folder) / MANIFEST_NAME
            hint = "give each recording a folder of its own and pack these folders"
            raise BundleError(f"it holds two manifests, {MANIFEST_NAME} and {second}", where=name, hint=hint)


def _advice(folder: Path) -> str:
    return _deeper(folder) or _archive_inside(folder)


def _archive_inside(folder: Path) -> str:
    """People pack an archive once more; and some archives hold themselves, without an end."""
    for inside, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            if file.lower().endswith(_PACKED):
                return (
                    f"it holds another archive, {(Path(inside) / file).relative_to(folder)}: unpack that one yourself"
                )
    return ""


def _deeper(folder: Path) -> str:
    """People pack a whole home directory: say where in it the first bundle lies."""
    for inside, folders, files in os.walk(folder):
        folders.sort()
        if MANIFEST_NAME in files and is_bundle(Path(inside)):
            return f"there is one deeper down: pack the folder {Path(inside).relative_to(folder)} itself"
    return ""


def _unpack(path: Path, folder: Path, limits: Limits, name: str) -> None:
    if not path.is_file():  # a pipe would wait for ever
        raise BundleError("there is no such file", where=name, hint=f"give {_KNOWN}")
    try:
        with open(path, "rb") as file:
            budget = Budget(limits, os.fstat(file.fileno()).st_size)
            Scratch(folder, budget).unpack(_members(path, file, budget))
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
        return tar_members(_Source(gzip.GzipFile(fileobj=file), budget).read)
    if kind == "zstd":
        return tar_members(_Source(zstd.ZstdFile(file, options=ZSTD_OPTIONS), budget).read)
    if is_tar_header(start):
        return tar_members(_Source(file, budget).read)
    raise BundleError(f"this is {kind or 'no archive'}", hint=f"give {_KNOWN}")


class _Source:
    """Unpacked bytes of a stream, counted, with the errors of three libraries in words of ours."""

    def __init__(self, stream: _Readable, budget: Budget) -> None:
        self.stream = stream
        self.budget = budget

    def read(self, size: int) -> bytes:
        try:
            data = self.stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile, zstd.ZstdError) as error:
            what = f"it is damaged or cut off ({error})"
            raise BundleError(what, hint="copy or upload it again") from error
        self.budget.spend_bytes(len(data))
        return data
