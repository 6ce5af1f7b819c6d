"""Python values flow in, column values that SQLite and PostgreSQL both take flow out."""

import hashlib
import threading
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
from backports import zstd
from django.db import models

from traces.models.words import WORDS

KEY_LENGTH = 200
LEVEL = 3
BIGGEST = 2**63 - 1
FIRST_MOMENT, LAST_MOMENT = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


class JsonText(models.TextField):
    """JSON that is only ever read as a whole.

    It is text: PostgreSQL's `jsonb` refuses the NUL characters that terminals print, and would reorder keys.
    """

    # What the type checker's Django plugin reads: any JSON goes in and out.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        """What the row says, as Python values."""
        return None if value is None else msgspec.json.decode(value)

    def to_python(self, value: Any) -> Any:
        """Values are Python values already."""
        return value

    def get_prep_value(self, value: Any) -> str | None:
        """Compact JSON."""
        return None if value is None else msgspec.json.encode(value).decode()

    def value_to_string(self, obj: models.Model) -> str:
        """What `dumpdata` writes."""
        return self.get_prep_value(self.value_from_object(obj)) or "null"


class PackedJson(models.BinaryField):
    """JSON that is only ever read as a whole, compressed: whoever looks for something in it finds nothing."""

    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"editable": False, **options})

    def from_db_value(self, value: Any, *_: Any) -> Any:
        """What the row says, as Python values."""
        return None if value is None else msgspec.json.decode(unpack(value))

    def to_python(self, value: Any) -> Any:
        """Values are Python values already."""
        return value

    def get_prep_value(self, value: Any) -> bytes | None:
        """Compact JSON, compressed."""
        return None if value is None else pack(msgspec.json.encode(value))

    def value_to_string(self, obj: models.Model) -> str:
        """What `dumpdata` writes."""
        return msgspec.json.encode(self.value_from_object(obj)).decode()


class PackedText(PackedJson):
    """The same column, its JSON as the text it is."""

    def from_db_value(self, value: Any, *_: Any) -> Any:
        """Text."""
        return None if value is None else unpack(value).decode()


def as_text(name: str) -> models.ExpressionWrapper:
    """A packed column, for `annotate`, as text instead of values."""
    return models.ExpressionWrapper(models.F(name), output_field=PackedText())


class HexField(models.BinaryField):
    """Hexadecimal digits to whoever reads it, half as many bytes in the database."""

    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def from_db_value(self, value: Any, *_: Any) -> str:
        """Digits."""
        return bytes(value or b"").hex()

    def get_prep_value(self, value: Any) -> bytes | None:
        """Bytes."""
        return None if value is None else bytes.fromhex(value)


_local = threading.local()


def _packer() -> zstd.ZstdCompressor:
    """One for each thread: they are not made to be shared, and making one takes longer than using it."""
    if not hasattr(_local, "packer"):
        options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: LEVEL,
            zstd.CompressionParameter.dict_id_flag: 0,
        }
        _local.packer = zstd.ZstdCompressor(options=options, zstd_dict=_words())
    packer: zstd.ZstdCompressor = _local.packer
    return packer


@cache
def _words() -> zstd.ZstdDict:
    return zstd.ZstdDict(WORDS, is_raw=True)


def pack(content: bytes) -> bytes:
    """Compressed with the words that every object uses."""
    packer = _packer()
    packer.set_pledged_input_size(len(content))
    return packer.compress(content, packer.FLUSH_FRAME)


def unpack(body: Any) -> bytes:
    """And back."""
    return zstd.decompress(body, zstd_dict=_words())


def plain(text: str | None) -> str:
    """Text for a text column: PostgreSQL takes no NUL, so its picture stands in for it."""
    return (text or "").replace("\x00", "␀")


def key(text: str | None) -> str:
    """An id for an indexed column: as it is, or, where somebody made a monstrous one, its start and a digest."""
    text = plain(text)
    if len(text) <= KEY_LENGTH:
        return text
    return f"{text[: KEY_LENGTH - 40]}…{hashlib.sha256(text.encode()).hexdigest()[:39]}"


def number(value: int | None) -> int | None:
    """A 64-bit column takes no more than this; the exact number stands in the JSON beside it."""
    return None if value is None else max(min(value, BIGGEST), -BIGGEST)


def moment(unix_ms: int) -> datetime:
    """A time of a recording; one that no calendar knows becomes the nearest that it does."""
    seconds = min(max(unix_ms / 1000, FIRST_MOMENT.timestamp()), LAST_MOMENT.timestamp())
    return datetime.fromtimestamp(seconds, UTC)
