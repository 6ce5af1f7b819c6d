"""The bytes of a request flow in, its items flow out: how many are those of the request before, and what is new.

Requests repeat all earlier items byte for byte. One comparison of memory proves the unchanged head, so only the tail is
decoded; where the head itself changed, items are compared one by one and only the changed ones are decoded.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from traces.reducer.errors import ReductionError
from traces.reducer.graph import Part
from traces.reducer.normalize import Normalized, Source, normalize
from traces.reducer.serde import decode, decode_payload, too_deep

_PLACEHOLDER = b'{"input":[null'
_OPENS_INPUT = re.compile(rb'"input"\s*:\s*\[\s*\Z')


class _Body(msgspec.Struct):
    """The two fields of a request that the reduction reads."""

    input: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    previous_response_id: Any = None


_body_decoder = msgspec.json.Decoder(_Body)
_items_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class Request(msgspec.Struct):
    """A request: its first `kept` items are those of the request before, the rest are `items`."""

    kept: int
    items: list[Normalized]
    previous_response_id: str | None


class LastRequest(msgspec.Struct):
    """What is remembered of a thread's last full request: its bytes up to the end of its last item."""

    body: bytes
    head: int
    items: int
    tail: bytes


def read_request(body: bytes, last: LastRequest | None, source: Source) -> tuple[Request, LastRequest | None]:
    """Reads a request; raises ReductionError where it has no items or one that is not known.

    The second value is what to remember for the next one; None where items must be read again because they are not
    the same item in another payload.
    """
    continued = _continue(body, last, source) if last is not None else None
    return continued or _read_whole(body, source)


def _continue(body: bytes, last: LastRequest, source: Source) -> tuple[Request, LastRequest | None] | None:
    if not body.startswith(memoryview(last.body)[: last.head]):
        return None
    if body.endswith(last.tail) and len(body) >= last.head + len(last.tail):
        raw = _raw_items(b"[null" + body[last.head : len(body) - len(last.tail)] + b"]")
    else:
        raw = _raw_tail(_PLACEHOLDER + body[last.head :])
    if raw is None:
        return None
    try:
        items = _normalized(raw[1:], source)
    except ValueError:  # one of them is damaged: reading all of it says where
        return None
    request = Request(last.items, _shown(items), None)
    return request, _remember(body, raw[1:], last.head, last.items, items)


def _raw_items(data: bytes) -> list[msgspec.Raw] | None:
    """The new items between the unchanged head and the unchanged tail; None if this is not what stands there."""
    try:
        raw = _items_decoder.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    return None if not raw or bytes(raw[0]) != b"null" or too_deep(b"[" + data) else raw


def _raw_tail(data: bytes) -> list[msgspec.Raw] | None:
    try:
        fields = _body_decoder.decode(data)
        raw = [] if fields.input is msgspec.UNSET else _items_decoder.decode(fields.input)
    except (msgspec.DecodeError, RecursionError):
        return None
    if fields.previous_response_id is not None or not raw or bytes(raw[0]) != b"null" or not _sound(data):
        return None
    return raw


def _sound(data: bytes) -> bool:
    """Whether the reference reads every part of the document, not only those that are looked at here."""
    try:
        decode(data)
    except ValueError:
        return False
    return True


def _read_whole(body: bytes, source: Source) -> tuple[Request, LastRequest | None]:
    raw, previous = _raw_body(body, source)
    items = _normalized(raw, source)
    request = Request(0, _shown(items), previous if isinstance(previous, str) else None)
    if request.previous_response_id is not None or not raw:
        return request, None
    start = body.find(bytes(raw[0]))
    if not _OPENS_INPUT.search(body[max(0, start - 256) : start]):
        return request, None
    return request, _remember(body, raw, start, 0, items)


def _raw_body(body: bytes, source: Source) -> tuple[list[msgspec.Raw], Any]:
    where = f"request payload {source.raw_payload_id}"
    if not isinstance(decode_payload(body, source.raw_payload_id), dict):
        raise ReductionError(f"{where} is no object")
    fields = _body_decoder.decode(body)
    if fields.input is msgspec.UNSET:
        raise ReductionError(f"{where} has no input")
    try:
        return _items_decoder.decode(fields.input), fields.previous_response_id
    except msgspec.DecodeError as error:
        raise ReductionError(f"{where} has an input that is no list") from error


def _normalized(raw: list[msgspec.Raw], source: Source) -> list[Normalized | None]:
    return [normalize(decode(bytes(item)), source) for item in raw]


def _shown(items: list[Normalized | None]) -> list[Normalized]:
    return [item for item in items if item is not None]


def _remember(
    body: bytes, raw: list[msgspec.Raw], start: int, known: int, items: list[Normalized | None]
) -> LastRequest | None:
    """Remembers the items up to the first that would not be the same item in another payload."""
    end = start
    for item, seen in zip(raw, items, strict=True):
        if seen is not None and any(map(_changes, seen.parts)):
            break
        text = bytes(item)
        end = body.find(text, end) + len(text)
        known += seen is not None
    return LastRequest(body, end, known, _tail(body, end)) if known else None


def _changes(part: Part) -> bool:
    """Whether a part is known by the payload that shows it, and so is another one in the next."""
    return part["type"] == "payload_ref" and "content_sha256" not in part


def _tail(body: bytes, end: int) -> bytes:
    """What stands behind the last item, if the list of items ends there."""
    tail = body[end:]
    return tail if tail.lstrip().startswith(b"]") else b""
