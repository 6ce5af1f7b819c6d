"""Items of requests, responses and checkpoints flow in, conversation items with an identity flow out.

A request is a snapshot of everything the model sees. An item keeps its id where the snapshot before it holds the same
content, each at most once; what is new becomes a new item, even if it says the same. Outputs are appended.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import msgspec
from msgspec import UNSET

from traces.bundle.shapes import PayloadRef
from traces.reducer.agents import deliver
from traces.reducer.code_cells import attach_cell_output, start_waiting_cells
from traces.reducer.errors import ReductionError
from traces.reducer.graph import Body, ConversationItem, Part
from traces.reducer.items import ItemIds, Snapshot
from traces.reducer.normalize import Normalized, Source, match_key, normalize
from traces.reducer.serde import get
from traces.reducer.tools import OUTPUTS, attach_item
from traces.reducer.trace import Trace


class Place(msgspec.Struct, frozen=True):
    """Where and when items are seen, and who made them."""

    thread_id: str
    codex_turn_id: str | None
    at_unix_ms: int
    producer: dict[str, str] | None = None


def normalized_items(value: Any, trace: Trace, ref: PayloadRef) -> list[Normalized]:
    """What the items of a list say."""
    source = Source(ref.raw_payload_id, trace.schema)
    return [found for item in value if (found := normalize(item, source)) is not None]


# --- requests and responses -------------------------------------------------------------------------------------------


def see_snapshot(trace: Trace, place: Place, kept: int, items: list[Normalized]) -> ItemIds:
    """Gives the items of a full request their ids; the first `kept` are known to be those of the snapshot before."""
    thread_id = place.thread_id
    replacement = trace.replacements.get(thread_id)
    before = trace.snapshot(thread_id) if replacement is None else trace.new_snapshot(replacement)
    see_kept(trace, thread_id, before, kept)
    new: list[str] = []
    used: set[str] = set()
    for index, item in enumerate(items, kept):
        item_id = _request_item(trace, place, before, index, item, kept, used)
        see(trace, place, item_id, item)
        new.append(item_id)
        used.add(item_id)
    start_waiting_cells(trace)
    trace.replacements.pop(thread_id, None)
    trace.snapshots[thread_id] = before
    return before.become(kept, new)


def _request_item(
    trace: Trace, place: Place, before: Snapshot, index: int, item: Normalized, kept: int, used: Container[str]
) -> str:
    check_call(trace, place.thread_id, item)
    here = before.at(index, item.key, item.responses_id)
    # Schema 1 takes what stands at the same place even if this request used it already.
    if here is not None and trace.schema >= 2 and (here in used or before.first[here] < kept):
        here = None
    return (
        here
        or before.find(item.key, item.responses_id, kept, used)
        or received(trace, place, item)
        or make(trace, place, item)
    )


def see_kept(trace: Trace, thread_id: str, before: Snapshot, kept: int) -> None:
    """Sees the unchanged items of a request again: only what happened meanwhile can change what they are linked to."""
    again = trace.look_again.get(thread_id)
    if not again:
        return
    due = {item_id for item_id in again if before.first.get(item_id, kept) < kept}
    for item_id in sorted(due, key=before.first.__getitem__):
        link(trace, item_id)
    again -= due


def append_items(trace: Trace, place: Place, items: list[Normalized], start: int) -> list[str]:
    """Gives items that follow a known prefix of `start` items their ids; they must fit what was seen there before."""
    before = trace.snapshot(place.thread_id)
    new: list[str] = []
    for index, item in enumerate(items, start):
        check_call(trace, place.thread_id, item)
        item_id = before.at(index, item.key, item.responses_id)
        if item_id is None and index < len(before):
            raise ReductionError(
                f"item {index} of the request does not continue what thread {place.thread_id} showed before"
            )
        item_id = item_id or _known_output(trace, place, item, new)
        item_id = item_id or received(trace, place, item) or make(trace, place, item)
        see(trace, place, item_id, item)
        new.append(item_id)
    start_waiting_cells(trace)
    return new


def _known_output(trace: Trace, place: Place, item: Normalized, used: Container[str]) -> str | None:
    """An item that the provider already gave under the same id (schema 2)."""
    if item.responses_id is None or place.producer is None:
        return None
    for item_id in trace.items_by_responses_id.get((place.thread_id, item.responses_id), ()):
        if trace.match_keys[item_id] == item.key and item_id not in used:
            return item_id
    return None


# --- checkpoints of a compaction --------------------------------------------------------------------------------------


def see_detached(trace: Trace, place: Place, items: list[Normalized], candidates: Snapshot) -> list[str]:
    """Gives items that are not a request their ids: known ones by content, in any order, each at most once."""
    new: list[str] = []
    used: set[str] = set()
    for item in items:
        check_call(trace, place.thread_id, item)
        item_id = candidates.find(item.key, item.responses_id, 0, used)
        item_id = item_id or received(trace, place, item) or make(trace, place, item)
        see(trace, place, item_id, item)
        new.append(item_id)
        used.add(item_id)
    start_waiting_cells(trace)
    return new


# --- one item ---------------------------------------------------------------------------------------------------------


def check_call(trace: Trace, thread_id: str, item: Normalized) -> None:
    """Refuses a call id that comes back with other content; since schema 2 outputs may."""
    if item.call_id is None or (trace.schema >= 2 and item.kind in OUTPUTS):
        return
    for item_id in trace.items_by_call.get((thread_id, item.call_id, item.kind), ())[:1]:
        if trace.match_keys[item_id] != item.key:
            raise ReductionError(f"call id {item.call_id} is used again with other content")


def make(trace: Trace, place: Place, item: Normalized) -> str:
    """A new item."""
    item_id = f"conversation_item:{trace.next_item}"
    trace.next_item += 1
    trace.add_item(
        ConversationItem(
            item_id=item_id,
            responses_item_id=UNSET,
            accepted_at_unix_ms=UNSET,
            accepted_seq=UNSET,
            thread_id=place.thread_id,
            codex_turn_id=place.codex_turn_id,
            first_seen_at_unix_ms=place.at_unix_ms,
            role=item.role,
            channel=item.channel,
            kind=item.kind,
            agent_message=item.agent_message or UNSET,
            body=Body(list(item.parts)),
            call_id=item.call_id,
            produced_by=[],
        ),
        item.key,
    )
    return item_id


def see(trace: Trace, place: Place, item_id: str, item: Normalized) -> None:
    """Adds what a sighting tells of an item, and links it."""
    known = trace.graph.conversation_items[item_id]
    if known.kind == "reasoning":
        _merge_reasoning(trace, known, item.parts)
    if place.producer is not None and place.producer not in known.produced_by:
        known.produced_by.append(place.producer)
        trace.touch("conversation_items", item_id)
    if item.responses_id is not None and item_id not in trace.responses_ids:
        _identify(trace, known, item.responses_id)
    link(trace, item_id)
    trace.look_again[known.thread_id].discard(item_id)
    deliver(trace, item_id)


def link(trace: Trace, item_id: str) -> None:
    """Links an item to the tool and the code cell that its call id names."""
    item = trace.graph.conversation_items[item_id]
    if item.call_id is not None:
        attach_item(trace, item)
        attach_cell_output(trace, item)


def _identify(trace: Trace, item: ConversationItem, responses_id: str) -> None:
    item.responses_item_id = responses_id
    trace.responses_ids[item.item_id] = responses_id
    trace.items_by_responses_id[item.thread_id, responses_id].append(item.item_id)
    trace.touch("conversation_items", item.item_id)
    accepted = trace.accepted.get((item.thread_id, responses_id))
    if accepted is not None:
        item.accepted_at_unix_ms, item.accepted_seq = accepted
        trace.join_thread(trace.thread(item.thread_id), [item.item_id])


def _merge_reasoning(trace: Trace, known: ConversationItem, seen: list[Part]) -> None:
    """Fills in the readable parts that another sighting of the same sealed reasoning shows."""
    parts = known.body.parts
    if parts == seen:
        return
    text, summary = _of(parts, "text"), _of(parts, "summary")
    if text and summary:
        return
    merged = (text or _of(seen, "text")) + (summary or _of(seen, "summary")) + _of(parts, "encoded")
    if merged != parts:
        known.body.parts = merged
        trace.touch("conversation_items", known.item_id)


def _of(parts: list[Part], part_type: str) -> list[Part]:
    return [part for part in parts if part["type"] == part_type]


# --- receipts of items (schema 2) -------------------------------------------------------------------------------------


def accept(trace: Trace, place: Place, responses_id: str, seq: int) -> None:
    """Notes that a thread's history took an item in; the first receipt counts."""
    key = (place.thread_id, responses_id)
    if key in trace.accepted:
        return
    trace.accepted[key] = (place.at_unix_ms, seq)
    for item_id in trace.items_by_responses_id.get(key, ()):
        item = trace.graph.conversation_items[item_id]
        item.accepted_at_unix_ms, item.accepted_seq = place.at_unix_ms, seq
        trace.touch("conversation_items", item_id)
        trace.join_thread(trace.thread(place.thread_id), [item_id])


def accept_agent_message(trace: Trace, place: Place, responses_id: str, ref: PayloadRef, seq: int) -> None:
    """Takes in a message of another agent together with its receipt, before any request shows it."""
    value = trace.payload(ref)
    if get(value, "type") != "agent_message" or get(value, "id") != responses_id:
        raise ReductionError(f"the accepted message of an agent does not match its receipt {responses_id}")
    [item] = normalized_items([value], trace, ref)
    key = (place.thread_id, responses_id)
    if not trace.items_by_responses_id.get(key):
        item_id = make(trace, place, item)
        trace.receipts[key] = item_id
        see(trace, place, item_id, item)
    accept(trace, place, responses_id, seq)


def received(trace: Trace, place: Place, item: Normalized) -> str | None:
    """The message of an agent that was taken in before this request first showed it, under the same id."""
    if item.responses_id is None or item.agent_message is None:
        return None
    item_id = trace.receipts.pop((place.thread_id, item.responses_id), None)
    if item_id is None:
        return None
    known = trace.graph.conversation_items[item_id]
    if known.body.parts != item.parts:
        known.body = Body(list(item.parts))
        item.agent_message = known.agent_message or None
        trace.match_keys[item_id] = match_key(item)
        trace.touch("conversation_items", item_id)
    return item_id
