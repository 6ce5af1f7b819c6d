"""A zip archive flows in, its members flow out one after the other."""

from __future__ import annotations

import io
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, LargeZipFile, ZipFile, ZipInfo

from traces.bundle.errors import BundleError
from traces.bundle.scratch import Budget, Member

CHUNK = 256 * 1024
_ENTRY = b"PK\x01\x02"
_DIRECTORY_BYTES = 512_000_000
_PACK_FEWER = "pack one bundle at a time"
_MADE_ON_DOS = 0
_ENCRYPTED = 0x1
# OSError: a damaged offset makes it seek to before the start of the file.
_FOREIGN = (
    BadZipFile,
    LargeZipFile,
    zlib.error,
    EOFError,
    OSError,
    struct.error,
    RuntimeError,
    ValueError,
    OverflowError,
)


def zip_members(path: Path, budget: Budget) -> Iterator[Member]:
    """Nothing but plain files and folders, stored or deflated."""
    with _DirectoryGuard(path, budget) as file, _sentences(), ZipFile(file) as archive:
        file.opened = True
        for info in archive.infolist():
            _check(info)
            name = _name(info)
            yield Member(name, name.endswith("/"), info.file_size, _chunks(archive, info, budget))


class _DirectoryGuard(io.BufferedReader):
    """`ZipFile` reads the whole directory at once and keeps an object for each entry: count them before it does."""

    def __init__(self, path: Path, budget: Budget) -> None:
        super().__init__(io.FileIO(path))
        self.budget = budget
        self.opened = False

    def read(self, size: int | None = -1, /) -> bytes:
        if self.opened:
            return super().read(size)
        if size is not None and size > _DIRECTORY_BYTES:
            raise BundleError(f"its list of files has more than {_DIRECTORY_BYTES:,} bytes", hint=_PACK_FEWER)
        data = super().read(size)
        self.budget.check_count(data.count(_ENTRY))
        return data


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except _FOREIGN as error:
        what = f"it is a damaged zip archive ({str(error) or type(error).__name__})"
        raise BundleError(what, hint="it may be cut off: copy or upload it again") from error


def _check(info: ZipInfo) -> None:
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise BundleError(f"{info.filename} is a link or a device", hint="pack plain files and folders only")
    if info.flag_bits & _ENCRYPTED:
        raise BundleError(f"{info.filename} is encrypted", hint="pack the bundle without a password")
    if info.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        what = f"{info.filename} is packed with method {info.compress_type}, which is not read here"
        raise BundleError(what, hint="pack the bundle with the ordinary method, deflate")


def _name(info: ZipInfo) -> str:
    """`filename` stops at a NUL; some packers on Windows write backslashes, which no other system means as folders."""
    name = info.orig_filename
    return name.replace("\\", "/") if info.create_system == _MADE_ON_DOS else name


def _chunks(archive: ZipFile, info: ZipInfo, budget: Budget) -> Iterator[bytes]:
    with _sentences(), archive.open(info) as member:
        while chunk := member.read(CHUNK):
            budget.spend_bytes(len(chunk))
            yield chunk
