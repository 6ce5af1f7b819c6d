"""Names and bytes flow in, an archive of any kind flows out."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import zstandard

from traces.bundle.limits import DEFAULT_LIMITS
from traces.bundle.reader import Bundle

Files = dict[str, bytes]
Pack = Callable[[Files], bytes]

BUNDLE: Files = {
    "manifest.json": b'{"schema_version":1,"trace_id":"t","rollout_id":"r","root_thread_id":"r","started_at_unix_ms":1,'
    b'"raw_event_log":"trace.jsonl","payloads_dir":"payloads"}',
    "trace.jsonl": b'{"seq":1}\n{"seq":2}\n',
    "payloads/1.json": b'{"text":"' + "é and more".encode() * 50 + b'"}',
    "payloads/2.json": b"{}",
}


def read_files(folder: Path) -> Files:
    """Every file below a folder by its path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def files_of(bundle: Bundle) -> Files:
    """Every file of a bundle by its path, wherever it lies."""
    place = bundle.place
    return {path: place.read(path, DEFAULT_LIMITS, "payload_bytes") for path in place.files("")}


def below(folder: str, files: Files) -> Files:
    return {f"{folder}/{name}": data for name, data in files.items()}


def pack_zip(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


class OneWay(io.RawIOBase):
    """A pipe: a zip written into it has its sizes behind the data, for nobody can go back."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.pieces.append(bytes(data))  # type: ignore[call-overload]
        return len(self.pieces[-1])


def pack_zip_one_way(files: Files) -> bytes:
    out = OneWay()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return b"".join(out.pieces)


def pack_zip64(files: Files) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)
    return out.getvalue()


def pack_tar(files: Files, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def pack_member(member: tarfile.TarInfo, data: bytes = b"") -> bytes:
    """A tar of a good bundle with one odd member behind it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in BUNDLE.items():
            plain = tarfile.TarInfo(name)
            plain.size = len(content)
            archive.addfile(plain, io.BytesIO(content))
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def pack_zstd(files: Files) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(pack_tar(files))


def pack_zstd_frames(files: Files) -> bytes:
    """As parallel packers do: many frames, and one that only carries a remark."""
    data = pack_tar(files)
    frames = [zstandard.compress(data[at : at + 3000]) for at in range(0, len(data), 3000)]
    return b"\x50\x2a\x4d\x18\x04\0\0\0note" + b"".join(frames)


def pack_gzip_members(files: Files) -> bytes:
    data = pack_tar(files)
    return b"".join(gzip.compress(data[at : at + 3000], mtime=0) for at in range(0, len(data), 3000))


def pack_zip_stored(files: Files) -> bytes:
    return pack_zip(files, zipfile.ZIP_STORED)


def pack_gzip(files: Files) -> bytes:
    return gzip.compress(pack_tar(files), mtime=0)


def pack_ustar(files: Files) -> bytes:
    return pack_tar(files, tarfile.USTAR_FORMAT)


def pack_gnu(files: Files) -> bytes:
    return pack_tar(files, tarfile.GNU_FORMAT)


KINDS: dict[str, Pack] = {
    "zip": pack_zip,
    "zip stored": pack_zip_stored,
    "zip from a pipe": pack_zip_one_way,
    "zip64": pack_zip64,
    "tar": pack_tar,
    "tar ustar": pack_ustar,
    "tar gnu": pack_gnu,
    "tar.gz": pack_gzip,
    "tar.gz members": pack_gzip_members,
    "tar.zst": pack_zstd,
    "tar.zst frames": pack_zstd_frames,
}
