"""A graph flows in, `state.json` flows out, byte for byte as the reference writes it: ids sorted, two spaces deep.

Lists of request items repeat each other; a list that several calls share is rendered once and each call takes its part.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from traces.reducer.graph import SECTIONS, Graph
from traces.reducer.items import ItemIds

_LINE = b" " * 8
_ITEMS = b'"request_item_ids": null'
_AT_ONCE = 256


class _Lists:
    """Rendered lists of ids, one for each list that is shared."""

    def __init__(self) -> None:
        self.rendered: dict[int, tuple[list[str], list[int], bytes]] = {}

    def render(self, items: ItemIds) -> bytes:
        """The list as it stands inside an inference call."""
        if not items.length:
            return b"[]"
        shared, ends, text = self.rendered.get(id(items.shared)) or self._add(items)
        assert shared is items.shared
        return b"[\n" + text[: ends[items.length - 1]] + b"\n      ]"

    def _add(self, items: ItemIds) -> tuple[list[str], list[int], bytes]:
        lines = [_LINE + b'"' + item_id.encode() + b'"' for item_id in items.shared]
        ends, end = [], 0
        for line in lines:
            end += len(line)
            ends.append(end)
            end += 2
        entry = (items.shared, ends, b",\n".join(lines))
        self.rendered[id(items.shared)] = entry
        return entry


def to_json(graph: Graph) -> bytes:
    """The whole of `state.json`."""
    return b"".join(pieces(graph))


def pieces(graph: Graph) -> Iterator[bytes]:
    """`state.json` piece by piece, for those who write it to a file."""
    fields = {name: getattr(graph, name) for name in graph.__struct_fields__ if name not in SECTIONS}
    known = {name: value for name, value in fields.items() if value is not msgspec.UNSET}
    yield msgspec.json.format(msgspec.json.encode(known), indent=2).removesuffix(b"\n}")
    lists = _Lists()
    for section in SECTIONS:
        yield b',\n  "' + section.encode() + b'": '
        yield from _section(getattr(graph, section), lists)
    yield b"\n}"


def _section(objects: dict[str, Any], lists: _Lists) -> Iterator[bytes]:
    if not objects:
        yield b"{}"
        return
    ids = iter(sorted(objects))
    before = b"{"
    while some := {object_id: objects[object_id] for object_id in islice(ids, _AT_ONCE)}:
        yield before
        yield from _objects(some, lists)
        before = b","
    yield b"\n  }"


def _objects(some: dict[str, Any], lists: _Lists) -> Iterator[bytes]:
    text = msgspec.json.format(msgspec.json.encode(some, enc_hook=_leave_out), indent=2)
    text = text.removeprefix(b"{").removesuffix(b"\n}").replace(b"\n", b"\n  ")
    first, *rest = text.split(_ITEMS)
    yield first
    requests = (value.request_item_ids for value in some.values() if rest)
    for items, piece in zip(requests, rest, strict=True):
        yield from (b'"request_item_ids": ', lists.render(items), piece)


def _leave_out(value: Any) -> None:
    if not isinstance(value, ItemIds):
        raise NotImplementedError(type(value).__name__)
