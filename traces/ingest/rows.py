"""Places and objects of the graph flow in, unsaved rows flow out; a row that would say the same again is left out."""

from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import models

from traces.bundle.events import (
    CodexTurnEnded,
    CodexTurnStarted,
    ThreadEnded,
    ThreadResumed,
    ThreadStarted,
)
from traces.bundle.events import Event as BundleEvent
from traces.ingest.outline import SECTIONS, Place
from traces.ingest.reading import Body, Entry, Glimpse
from traces.ingest.reduction import Reduction
from traces.ingest.titles import title_of
from traces.models import ConversationItem, Event, InteractionEdge, Node, Payload, Rollout, TerminalSession
from traces.models.fields import BIGGEST, key, number, plain

_SUBJECTS = {
    "inference_call_id": Node.Kind.INFERENCE_CALL,
    "tool_call_id": Node.Kind.TOOL_CALL,
    "compaction_request_id": Node.Kind.COMPACTION_REQUEST,
    "compaction_id": Node.Kind.COMPACTION,
}
TYPE_LENGTH = 60
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


def node_row(rollout: Rollout, place: Place, reduction: Reduction, revision: int) -> Node | None:
    """The row of a place; None when its row says all this already."""
    data = reduction.reducer.object(SECTIONS[place.kind], place.object_id)
    data.pop("conversation_item_ids", None)
    data.pop("request_item_ids", None)
    row = _node(rollout, place, reduction, data)
    row.data = msgspec.Raw(msgspec.json.encode(data))
    said = hash((*(row.serializable_value(name) for name in NODE_COLUMNS), bytes(row.data)))
    if said == place.written:
        return None
    place.written = said
    row.revision = revision
    return row


def _node(rollout: Rollout, place: Place, reduction: Reduction, data: dict[str, Any]) -> Node:
    graph = reduction.graph
    value = getattr(graph, SECTIONS[place.kind])[place.object_id]
    ending = _ending(place, data)
    row = Node(
        rollout=rollout,
        kind=place.kind,
        object_id=key(place.object_id),
        parent_id=place.parent.pk if place.parent else None,
        position=place.position,
        depth=place.depth,
        number=place.number,
        thread_id=key(data.get("thread_id", "")),
        status=ending.status,
        evidence=ending.evidence,
        evidence_event=place.end_event if ending.ended_seq is not None else "",
        evidence_seq=number(ending.ended_seq),
        evidence_text=plain(place.said),
        started_at_ms=ending.started_at_ms,
        started_seq=min(place.started_seq, BIGGEST),
        ended_at_ms=ending.ended_at_ms,
        ended_seq=number(ending.ended_seq),
        title=plain(place.title or title_of(place.kind, value, graph)),
    )
    if place.kind == Node.Kind.INFERENCE_CALL:
        _inference_evidence(row, place, reduction)
    return row


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


def _inference_evidence(row: Node, place: Place, reduction: Reduction) -> None:
    known = reduction.reducer.evidence[place.object_id]
    row.evidence = known.kind
    row.evidence_seq = number(known.seq)
    row.evidence_event = known.event or ""
    row.evidence_text = plain(known.text)
    row.late_event = known.late_event or ""
    row.late_seq = number(known.late_seq)
    row.late_text = plain(known.late_text)
    row.late_items = known.late_items


def item_row(rollout: Rollout, data: dict[str, Any], position: int | None, revision: int) -> ConversationItem:
    """The row of a conversation item."""
    return ConversationItem(
        rollout=rollout,
        item_id=key(data["item_id"]),
        ordinal=int(data["item_id"].rpartition(":")[2]),
        thread_id=key(data["thread_id"]),
        position=position,
        role=data["role"],
        channel=data["channel"] or "",
        kind=data["kind"],
        call_id=key(data["call_id"]),
        data=data,
        revision=revision,
    )


def edge_row(rollout: Rollout, data: dict[str, Any], revision: int) -> InteractionEdge:
    """The row of an edge."""
    return InteractionEdge(
        rollout=rollout, edge_id=key(data["edge_id"]), kind=data["kind"], data=data, revision=revision
    )


def terminal_row(rollout: Rollout, data: dict[str, Any], revision: int) -> TerminalSession:
    """The row of a terminal."""
    return TerminalSession(
        rollout=rollout,
        terminal_id=key(data["terminal_id"]),
        thread_id=key(data["thread_id"]),
        data=data,
        revision=revision,
    )


def payload_row(body: Body, in_graph: bool) -> Payload:
    """The row of a payload with its body; whose rollout's it is, the writer says."""
    row = Payload(
        raw_payload_id=key(body.ref.raw_payload_id),
        kind=body.ref.kind.type,
        path=plain(body.ref.path),
        missing=plain(body.missing),
        in_graph=in_graph,
    )
    if body.content is not None:
        row.fill(body.content, body.sha256)
    return row


def event_row(rollout: Rollout, entry: Entry) -> Event:
    """The row of a line."""
    said = entry.event or entry.glimpse or Glimpse()
    row = Event(
        rollout=rollout,
        line=entry.line,
        seq=number(said.seq),
        wall_time_ms=number(said.wall_time_unix_ms),
        type=plain(said.type)[:TYPE_LENGTH],
        thread_id=key(said.thread_id),
        codex_turn_id=key(said.codex_turn_id),
        body=entry.data,
        chain=entry.chain,
    )
    if entry.event is not None:
        row.object_kind, row.object_id = subject(entry.event)
    return row


def subject(event: BundleEvent) -> tuple[str, str]:
    """The node that an event is about, as far as the event alone says so."""
    payload = event.payload
    if isinstance(payload, _TURNS):
        return Node.Kind.CODEX_TURN, key(payload.codex_turn_id)
    if isinstance(payload, _THREADS):
        return Node.Kind.THREAD, key(payload.thread_id)
    found = ((kind, getattr(payload, name, None)) for name, kind in _SUBJECTS.items())
    return next(((kind, key(object_id)) for kind, object_id in found if object_id), ("", ""))


def columns(model: type[models.Model], *without: str) -> list[str]:
    """The columns of a model that a changed object may change."""
    return [
        field.attname for field in model._meta.concrete_fields if not field.primary_key and field.name not in without
    ]


NODE_COLUMNS = columns(Node, "rollout", "revision", "data")
