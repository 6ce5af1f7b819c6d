"""The rows of a rollout flow in, its `state.json` flows out piece by piece, byte for byte as the reference writes it.

Rows hold each object as JSON text, so nothing is reduced again: objects are put in order, and the two lists that have
rows of their own go back to their places. Numbers and strings stay the very text they are.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from django.db.models import QuerySet

from traces.models import Node, RequestItems, Rollout
from traces.models.fields import as_text, key
from traces.reducer.graph import SECTIONS, AgentThread, InferenceCall, Section

Objects = dict[str, msgspec.Raw]
Whole = Callable[[int, bytes], msgspec.Raw]

AT_ONCE = 256
NODES: dict[Section, tuple[Node.Kind, str]] = {
    "threads": (Node.Kind.THREAD, "thread_id"),
    "codex_turns": (Node.Kind.CODEX_TURN, "codex_turn_id"),
    "inference_calls": (Node.Kind.INFERENCE_CALL, "inference_call_id"),
    "code_cells": (Node.Kind.CODE_CELL, "code_cell_id"),
    "tool_calls": (Node.Kind.TOOL_CALL, "tool_call_id"),
    "terminal_operations": (Node.Kind.TERMINAL_OPERATION, "operation_id"),
    "compactions": (Node.Kind.COMPACTION, "compaction_id"),
    "compaction_requests": (Node.Kind.COMPACTION_REQUEST, "compaction_request_id"),
}
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def state_pieces(rollout: Rollout) -> Iterator[bytes]:
    """The whole file."""
    yield msgspec.json.format(msgspec.json.encode(rollout.head), indent=2).removesuffix(b"\n}")
    for section in SECTIONS:
        yield b',\n  "' + section.encode() + b'": '
        yield from _rendered(_section(rollout, section))
    yield b"\n}"


def _rendered(batches: Iterator[Objects]) -> Iterator[bytes]:
    """Objects as they stand inside the file, two spaces further in than on their own."""
    before = b"{"
    for objects in batches:
        text = msgspec.json.format(msgspec.json.encode(objects), indent=2)
        yield before + text.removeprefix(b"{").removesuffix(b"\n}").replace(b"\n", b"\n  ")
        before = b","
    yield b"{}" if before == b"{" else b"\n  }"


def _section(rollout: Rollout, section: Section) -> Iterator[Objects]:
    if section == "conversation_items":
        return _objects(rollout.conversation_items.all(), "item_id", _as_it_is)
    if section == "terminal_sessions":
        return _objects(rollout.terminal_sessions.all(), "terminal_id", _as_it_is)
    if section == "interaction_edges":
        return _objects(rollout.interaction_edges.all(), "edge_id", _as_it_is)
    if section == "raw_payloads":
        return _payloads(rollout)
    kind, name = NODES[section]
    return _objects(rollout.nodes.filter(kind=kind), name, _whole(rollout, section))


def _objects(rows: QuerySet[Any], name: str, whole: Whole) -> Iterator[Objects]:
    """The rows of a section, sorted by the ids that stand in them, some at a time."""
    texts = rows.order_by("pk").annotate(text=as_text("data")).values_list("pk", "text")
    named = msgspec.defstruct("Named", [("object_id", str)], rename={"object_id": name})
    decoder = msgspec.json.Decoder(named)
    ids = sorted((decoder.decode(text).object_id, pk) for pk, text in texts.iterator(AT_ONCE))  # type: ignore[attr-defined]
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        found = dict(texts.filter(pk__in=[pk for _, pk in some]))
        yield {object_id: whole(pk, found[pk].encode()) for object_id, pk in some}


def _payloads(rollout: Rollout) -> Iterator[Objects]:
    rows = rollout.payloads.filter(in_graph=True).values_list("raw_payload_id", "kind", "path")
    refs = sorted(rows.iterator(AT_ONCE))
    for start in range(0, len(refs), AT_ONCE):
        yield {
            name: msgspec.Raw(msgspec.json.encode({"raw_payload_id": name, "kind": {"type": kind}, "path": path}))
            for name, kind, path in refs[start : start + AT_ONCE]
        }


def _as_it_is(_: int, text: bytes) -> msgspec.Raw:
    return msgspec.Raw(text)


def _whole(rollout: Rollout, section: Section) -> Whole:
    """What makes the text of a row the whole object."""
    if section == "threads":
        return lambda _, text: _with(text, AgentThread, "conversation_item_ids", _conversation(rollout, text))
    if section == "inference_calls":
        requests = Requests(rollout)
        return lambda pk, text: _with(text, InferenceCall, "request_item_ids", requests.item_ids(pk))
    return _as_it_is


def _with(text: bytes, struct: type[msgspec.Struct], name: str, ids: list[str]) -> msgspec.Raw:
    """The object with a list in its place."""
    fields = _fields.decode(text)
    fields[name] = msgspec.Raw(msgspec.json.encode(ids))
    return msgspec.Raw(msgspec.json.encode({name: fields[name] for name in struct.__struct_fields__ if name in fields}))


def _conversation(rollout: Rollout, text: bytes) -> list[str]:
    thread_id = msgspec.json.decode(_fields.decode(text)["thread_id"])
    rows = rollout.conversation_items.conversation(key(thread_id))
    return list(rows.values_list("item_id", flat=True))


class Requests:
    """What every call of a rollout sent, kept as differences: lists in full grow with the square."""

    def __init__(self, rollout: Rollout) -> None:
        self.runs: dict[int, list[tuple[int, list[str]]]] = {}
        self.places: dict[int, tuple[int, int]] = {}
        rows = RequestItems.objects.filter(rollout=rollout).order_by("run", "step")
        for pk, run, step, kept, items in rows.values_list("pk", "run", "step", "kept", "items"):
            self.runs.setdefault(run, []).append((kept, items))
            self.places[pk] = run, step

    def item_ids(self, pk: int) -> list[str]:
        """The whole list of one call."""
        run, step = self.places[pk]
        whole: list[str] = []
        for kept, items in self.runs[run][: step + 1]:
            whole[kept:] = items
        return whole
