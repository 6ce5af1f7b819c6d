"""Paths and contents flow in, an archive flows out piece by piece: a .tar.zst or a .zip with one folder in it."""

import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO

from backports import zstd

Content = bytes | Iterable[bytes]
Files = Iterable[tuple[str, Content]]

CHUNK = 1 << 20
IN_MEMORY = 8 << 20
LEVEL = 3
# Requests repeat what was said before, which lies further back than zstd looks by itself: up to 32 MB are enough.
OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: LEVEL,
    zstd.CompressionParameter.enable_long_distance_matching: 1,
    zstd.CompressionParameter.window_log: 25,
}


def tar_zst(folder: str, files: Files, seconds: int) -> Iterator[bytes]:
    """Every file is dated alike: a bundle does not say when its files were written."""
    packer = zstd.ZstdCompressor(options=OPTIONS)
    for piece in _tar(folder, files, seconds):
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def _tar(folder: str, files: Files, seconds: int) -> Iterator[bytes]:
    for path, content in files:
        with spooled(content) as file:
            size = file.tell()
            file.seek(0)
            info = tarfile.TarInfo(f"{folder}/{path}")
            info.size, info.mtime, info.mode = size, seconds, 0o644
            yield info.tobuf(tarfile.PAX_FORMAT)
            yield from chunks(file)
            yield bytes(-size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


@contextmanager
def spooled(content: Content) -> Iterator[IO[bytes]]:
    """A content whose size is not known yet waits, on disk when it is large, until it is whole."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        file.writelines([content] if isinstance(content, bytes) else content)
        yield file


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    """What a file holds, some of it at a time."""
    return iter(lambda: file.read(CHUNK), b"")


def zipped(folder: str, files: Files, date: tuple[int, int, int, int, int, int]) -> Iterator[bytes]:
    """A .zip is written to a place that is emptied after each piece."""
    out = Outlet()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:  # type: ignore[call-overload]
        for path, content in files:
            info = zipfile.ZipInfo(f"{folder}/{path}", date)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with archive.open(info, "w", force_zip64=True) as file:
                for piece in [content] if isinstance(content, bytes) else content:
                    file.write(piece)
                    yield from out.emptied()
    yield from out.emptied()


class Outlet:
    """Takes what is written and hands it on; a file that nobody can go back in."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keeps it until somebody takes it."""
        self.pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing between here and there."""

    def emptied(self) -> Iterator[bytes]:
        """What was written since it was emptied last."""
        pieces, self.pieces = self.pieces, []
        if whole := b"".join(pieces):
            yield whole
