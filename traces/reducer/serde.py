"""JSON bytes flow in, values flow out as the reference's JSON library reads them, and its compact text again.

Observed on the published clients 0.164.0 and 0.169.0: objects keep their order, the last of equal keys wins, numbers
keep their digits (`1.50E5` becomes `1.50e+5`, `-0` becomes `0`), at most 127 levels nest, half a surrogate pair is
refused.
"""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

import msgspec

from traces.bundle.errors import wrong_json
from traces.reducer.errors import ReductionError

MAX_DEPTH = 127
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_OTHERS = bytes(set(range(256)) - set(b'[{]}"'))
_EXPONENT = re.compile(r"[eE]([+-]?)")


class Number:
    """A number that is no plain integer, as it was written."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = _EXPONENT.sub(lambda found: "e" + (found[1] or "+"), text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


_decoder = msgspec.json.Decoder(float_hook=Number)


def _encode_number(value: Any) -> msgspec.Raw:
    if not isinstance(value, Number):
        raise TypeError(f"{type(value).__name__} is no JSON")
    return msgspec.Raw(value.text.encode())


_encoder = msgspec.json.Encoder(enc_hook=_encode_number)
_sorting_encoder = msgspec.json.Encoder(enc_hook=_encode_number, order="deterministic")


def too_deep(data: bytes) -> bool:
    """Whether arrays and objects nest deeper than the reference reads."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for outside in _bare(data).split(b'"')[::2]:
        for bracket in outside:
            depth += 1 if bracket in b"[{" else -1
            if depth > MAX_DEPTH:
                return True
    return False


def _bare(data: bytes) -> bytes:
    """The brackets of a JSON document and the quotes around its strings; a pattern takes four times as long."""
    return data.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _OTHERS)


def decode(data: bytes) -> Any:
    """Reads a JSON document; raises ValueError where the reference refuses it."""
    try:
        value = _decoder.decode(data)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"no JSON: {wrong_json(error)}") from error
    if too_deep(data):
        raise ValueError(TOO_DEEP)
    return value


def check(data: bytes) -> None:
    """Refuses what is no JSON at all; a document that nobody reads may nest deep and hold half surrogate pairs."""
    try:
        json.loads(data.decode(), parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError(TOO_DEEP) from error
    except ValueError as error:
        raise ValueError(f"no JSON: {wrong_json(error)}") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def decode_payload(data: bytes, raw_payload_id: str) -> Any:
    """Reads a payload; raises ReductionError that names it."""
    try:
        return decode(data)
    except ValueError as error:
        raise ReductionError(f"payload {raw_payload_id} cannot be read: {error}") from error


def compact(value: Any) -> bytes:
    """The value as the reference writes it in one line."""
    return _encoder.encode(value)


def content_sha256(value: Any) -> str:
    """The digest that 0.169.0 gives a part it keeps by reference: of its compact text with sorted keys."""
    # Loading it takes as long as reducing a hundred events, and only rollouts with pictures need it.
    hashlib = importlib.import_module("hashlib")
    return str(hashlib.sha256(_sorting_encoder.encode(value)).hexdigest())


MAX_SUMMARY = 240


def summary(value: Any) -> str:
    """At most 240 bytes of the compact text, cut before a character rather than inside it.

    0.164.0 panics where byte 240 falls inside a character; 0.169.0 cuts before it, and so do we for both.
    """
    text = compact(value)
    if len(text) <= MAX_SUMMARY:
        return text.decode()
    return text[:MAX_SUMMARY].decode(errors="ignore") + "..."


def get(value: Any, key: str) -> Any:
    """A field of an object; None when there is no such field or no object."""
    return value.get(key) if isinstance(value, dict) else None


def text_of(value: Any, key: str) -> str | None:
    """A field of an object if it is a string."""
    found = get(value, key)
    return found if isinstance(found, str) else None
