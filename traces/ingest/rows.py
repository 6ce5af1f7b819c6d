"""Places and objects of the graph flow in, unsaved rows flow out; a row that would say the same again is left out."""

from dataclasses import dataclass
from typing import Any

import msgspec

from traces.bundle.events import (
    CodexTurnEnded,
    CodexTurnStarted,
    ThreadEnded,
    ThreadResumed,
    ThreadStarted,
)
from traces.bundle.events import Event as BundleEvent
from traces.ingest.outline import SECTIONS, Place
from traces.ingest.reading import Entry, Glimpse
from traces.ingest.reduction import Reduction
from traces.ingest.tables import Values
from traces.ingest.titles import title_of
from traces.models import Node
from traces.models.fields import BIGGEST, key, number, plain

_SUBJECTS = {
    "inference_call_id": Node.Kind.INFERENCE_CALL,
    "tool_call_id": Node.Kind.TOOL_CALL,
    "compaction_request_id": Node.Kind.COMPACTION_REQUEST,
    "compaction_id": Node.Kind.COMPACTION,
}
TYPE_LENGTH = 60
# What stands in the rows below, in this order; `data` is JSON that whoever writes it compresses.
NODE = (
    "kind", "object_id", "data", "position", "depth", "number", "thread_id", "title", "status", "started_at_ms",
    "started_seq", "ended_at_ms", "ended_seq", "evidence", "evidence_event", "evidence_seq", "evidence_text",
    "late_event", "late_seq", "late_text", "late_items",
)  # fmt: skip
ITEM = (
    "item_id", "ordinal", "thread_id", "position", "role", "channel", "kind", "call_id", "between_agents", "data",
)  # fmt: skip
EDGE = ("edge_id", "kind", "data")
TERMINAL = ("terminal_id", "thread_id", "data")
EVENT = (
    "line", "seq", "wall_time_ms", "type", "thread_id", "codex_turn_id", "object_kind", "object_id",
    "start", "size",
)  # fmt: skip
_TURNS = (CodexTurnStarted, CodexTurnEnded)
_THREADS = (ThreadStarted, ThreadEnded, ThreadResumed)


@dataclass(slots=True, frozen=True)
class Ending:
    """How an object ended and how that is known: the columns of a node."""

    status: str
    evidence: str
    started_at_ms: int
    ended_at_ms: int | None
    ended_seq: int | None


def node_row(place: Place, reduction: Reduction) -> Values | None:
    """The row of a place, see NODE; None when its row says all this already."""
    data = reduction.reducer.object(SECTIONS[place.kind], place.object_id)
    data.pop("conversation_item_ids", None)
    data.pop("request_item_ids", None)
    facts = _facts(place, reduction, data)
    body = msgspec.json.encode(data)
    said = hash((place.parent and place.parent.key, facts, body))
    if said == place.written:
        return None
    place.written = said
    return (place.kind, key(place.object_id), body, *facts)


def _facts(place: Place, reduction: Reduction, data: dict[str, Any]) -> Values:
    graph = reduction.graph
    value = getattr(graph, SECTIONS[place.kind])[place.object_id]
    ending = _ending(place, data)
    return (
        place.position,
        place.depth,
        place.number,
        key(data.get("thread_id", "")),
        plain(place.title or title_of(place.kind, value, graph)),
        ending.status,
        ending.started_at_ms,
        min(place.started_seq, BIGGEST),
        ending.ended_at_ms,
        number(ending.ended_seq),
        *(_inference_evidence if place.kind == Node.Kind.INFERENCE_CALL else _plain_evidence)(place, reduction, ending),
    )


def _plain_evidence(place: Place, _: Reduction, ending: Ending) -> Values:
    event = place.end_event if ending.ended_seq is not None else ""
    return (ending.evidence, event, number(ending.ended_seq), plain(place.said), "", None, "", 0)


def _ending(place: Place, data: dict[str, Any]) -> Ending:
    """Whatever has no execution of its own, like a compaction, happened at once."""
    window = data.get("execution")
    if window is None:
        at = data["installed_at_unix_ms"]
        return Ending(Node.Status.COMPLETED, Node.Evidence.OBSERVED, at, at, place.started_seq)
    status, seq = window["status"], window["ended_seq"]
    return Ending(status, _evidence(place, status), window["started_at_unix_ms"], window["ended_at_unix_ms"], seq)


def _evidence(place: Place, status: str) -> str:
    if status == Node.Status.RUNNING:
        return Node.Evidence.NONE
    if place.end_event == "codex_turn_ended" and place.kind != Node.Kind.CODEX_TURN:
        return Node.Evidence.TURN_END
    return Node.Evidence.OBSERVED


def _inference_evidence(place: Place, reduction: Reduction, _: Ending) -> Values:
    known = reduction.reducer.evidence[place.object_id]
    return (
        known.kind,
        known.event or "",
        number(known.seq),
        plain(known.text),
        known.late_event or "",
        number(known.late_seq),
        plain(known.late_text),
        known.late_items,
    )


def item_row(data: dict[str, Any], position: int | None) -> Values:
    """The row of a conversation item, see ITEM."""
    return (
        key(data["item_id"]),
        int(data["item_id"].rpartition(":")[2]),
        key(data["thread_id"]),
        position,
        data["role"],
        data["channel"] or "",
        data["kind"],
        key(data["call_id"]),
        bool(data.get("agent_message")),
        msgspec.json.encode(data),
    )


def edge_row(data: dict[str, Any]) -> Values:
    """The row of an edge, see EDGE."""
    return key(data["edge_id"]), data["kind"], msgspec.json.encode(data)


def terminal_row(data: dict[str, Any]) -> Values:
    """The row of a terminal, see TERMINAL."""
    return key(data["terminal_id"]), key(data["thread_id"]), msgspec.json.encode(data)


def event_row(entry: Entry) -> Values:
    """The row of a line, see EVENT."""
    said = entry.event or entry.glimpse or Glimpse()
    return (
        entry.line,
        number(said.seq),
        number(said.wall_time_unix_ms),
        plain(said.type)[:TYPE_LENGTH],
        key(said.thread_id),
        key(said.codex_turn_id),
        *(subject(entry.event) if entry.event is not None else ("", "")),
        entry.start,
        len(entry.data),
    )


def subject(event: BundleEvent) -> tuple[str, str]:
    """The node that an event is about, as far as the event alone says so."""
    payload = event.payload
    if isinstance(payload, _TURNS):
        return Node.Kind.CODEX_TURN, key(payload.codex_turn_id)
    if isinstance(payload, _THREADS):
        return Node.Kind.THREAD, key(payload.thread_id)
    found = ((kind, getattr(payload, name, None)) for name, kind in _SUBJECTS.items())
    return next(((kind, key(object_id)) for kind, object_id in found if object_id), ("", ""))
