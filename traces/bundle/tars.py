"""The bytes of a tar archive flow in, its members flow out one after the other.

Written here and not taken from `tarfile`, which takes a damaged header in the middle for the end of the archive,
and reads a name as long as the archive says into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from traces.bundle.errors import BundleError
from traces.bundle.scratch import Member

BLOCK = 512
CHUNK = 256 * 1024
META_BYTES = 1_000_000  # an extended header: a long name and a few times

_ZEROS = bytes(BLOCK)
_CUT_OFF = "it ends in the middle of an archive"
_AGAIN = "it was cut off: copy or upload it again"
_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"M": "a piece of a larger archive",
    b"S": "a sparse file",
}

Read = Callable[[int], bytes]


def tar_members(read: Read) -> Iterator[Member]:
    """`read(n)` gives up to n bytes, none at the end; reads on to the end, so that a checksum there is looked at."""
    extended: dict[str, str] = {}
    while (header := _exactly(read, BLOCK)) != _ZEROS:
        kind = header[156:157]
        size = _number(header[124:136]) if kind in b"xgLKX" else int(extended.get("size") or _number(header[124:136]))
        if not _checksum_fits(header) or size < 0:
            raise BundleError("it is damaged, or not a tar archive inside", hint=_AGAIN)
        if kind in b"xgLKX":
            extended |= _extension(kind, _exactly(read, _padded(_bounded(size)))[:size])
            continue
        yield from _member(read, header, size, extended)
        extended = {}
    while read(CHUNK):
        pass


def _member(read: Read, header: bytes, size: int, extended: dict[str, str]) -> Iterator[Member]:
    name = extended.get("path") or _name(header)
    kind = header[156:157]
    what = "a sparse file" if any(key.startswith("GNU.sparse") for key in extended) else _REFUSED.get(kind)
    if what or kind not in b"\x00075DV":
        raise BundleError(f"{name} is {what or 'of an unknown kind'}", hint="pack plain files and folders only")
    size = 0 if kind == b"5" else size  # some packers write what a folder takes on disk
    chunks = _chunks(read, size)
    if kind != b"V":  # the name of a tape
        yield Member(name, kind in b"5D" or name.endswith("/"), size, chunks)
    for _ in chunks:  # what the reader of the member left
        pass
    _exactly(read, _padded(size) - size)


def _chunks(read: Read, size: int) -> Iterator[bytes]:
    while size:
        chunk = read(min(size, CHUNK))
        if not chunk:
            raise BundleError(_CUT_OFF, hint=_AGAIN)
        size -= len(chunk)
        yield chunk


def _exactly(read: Read, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = read(size - len(data))
        if not more:
            raise BundleError(_CUT_OFF, hint=_AGAIN)
        data += more
    return bytes(data)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _bounded(size: int) -> int:
    if size > META_BYTES:
        raise BundleError(f"it holds a name longer than {META_BYTES:,} bytes", hint="pack plain files and folders only")
    return size


def is_tar_header(block: bytes) -> bool:
    """Whether an archive can begin with this block."""
    return len(block) == BLOCK and (block == _ZEROS or _checksum_fits(block))


def _checksum_fits(header: bytes) -> bool:
    field = header[148:156].split(b"\0")[0].strip()
    claimed = _octal(field) if field.isdigit() else -1
    # The field itself counts as eight spaces.
    unsigned = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    return claimed == unsigned or claimed == unsigned - 256 * _high(header[:148] + header[156:])


def _high(data: bytes) -> int:
    """How many bytes are negative to old packers, which summed signed characters."""
    return sum(byte > 127 for byte in data)


def _number(field: bytes) -> int:
    """Octal digits, or for what is too large a leading high bit and binary digits."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big") if field[0] == 0x80 else -1
    return _octal(field.split(b"\0")[0].strip())


def _octal(digits: bytes) -> int:
    try:
        return int(digits or b"0", 8)
    except ValueError:
        return -1


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0")[0]
    prefix = header[345:500].split(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise BundleError(f"the name {name[:60]!r} is not UTF-8", hint="pack the bundle again") from error


def _extension(kind: bytes, data: bytes) -> dict[str, str]:
    """What a header before the header says of the next member (`x`, `X`, `L`); `g` and `K` say nothing of use."""
    if kind == b"L":
        return {"path": _text(data.split(b"\0")[0])}
    return dict(_records(data)) if kind in b"xX" else {}


def _records(data: bytes) -> Iterator[tuple[str, str]]:
    """Lines of `LENGTH KEY=VALUE`, the length counting the whole line."""
    while data:
        length = int(digits) if (digits := data.split(b" ", 1)[0][:8]).isdigit() else 0
        key, equals, value = data[len(digits) + 1 : max(length - 1, 0)].partition(b"=")
        if not equals or length > len(data):
            raise BundleError("it is damaged: an extended header cannot be read", hint=_AGAIN)
        if key in {b"path", b"size"} or key.startswith(b"GNU.sparse"):
            yield _text(key), _value(key, value)
        data = data[length:]


def _value(key: bytes, value: bytes) -> str:
    if key == b"size" and not (value.isdigit() and len(value) < 20):
        raise BundleError("it is damaged: an extended header cannot be read", hint=_AGAIN)
    return _text(value)
