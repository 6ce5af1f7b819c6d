"""Recorded bytes flow in, text to read flows out: indented where it is JSON, as it stands where not, within a bound."""

from dataclasses import dataclass

import msgspec

SHOWN = 200_000  # characters
FORMATTED = 8_000_000  # bytes; what is larger is shown as it stands, formatting it would cost more than it gives


@dataclass(frozen=True)
class Pretty:
    """What a page shows of a body."""

    text: str
    left_out: int
    is_json: bool


def pretty(body: bytes, most: int = SHOWN) -> Pretty:
    """The body as text."""
    formatted = _formatted(body) if len(body) <= FORMATTED else None
    if formatted is not None:
        return Pretty(formatted[:most], max(0, len(formatted) - most), True)
    text = body[: most * 4].decode("utf-8", "replace")
    return Pretty(text[:most], max(0, len(body) - len(text[:most].encode())), False)


def _formatted(body: bytes) -> str | None:
    try:
        msgspec.json.decode(body)
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
