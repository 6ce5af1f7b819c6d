"""Python values flow in, column values that SQLite and PostgreSQL both take flow out."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import models

KEY_LENGTH = 200
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
