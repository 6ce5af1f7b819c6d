"""Events of compactions flow in, the places where a shorter history took over flow out."""

from __future__ import annotations

from typing import Any

from traces.bundle.events import (
    CompactionInstalled,
    CompactionRequestCompleted,
    CompactionRequestFailed,
    CompactionRequestStarted,
    Event,
)
from traces.bundle.shapes import PayloadRef
from traces.reducer.conversation import Place, make, normalized_items, see_detached
from traces.reducer.errors import ReductionError
from traces.reducer.graph import Compaction, CompactionRequest
from traces.reducer.normalize import Normalized, match_key
from traces.reducer.serde import get
from traces.reducer.trace import Trace, window

RequestEnd = CompactionRequestCompleted | CompactionRequestFailed


def start_request(trace: Trace, event: Event, started: CompactionRequestStarted) -> None:
    """A history was sent away to be shortened."""
    request_id = started.compaction_request_id
    if request_id in trace.graph.compaction_requests:
        raise ReductionError(f"compaction request {request_id} starts a second time")
    trace.thread(started.thread_id)
    trace.check_turn(f"compaction request {request_id}", started.thread_id, started.codex_turn_id)
    trace.graph.compaction_requests[request_id] = CompactionRequest(
        compaction_request_id=request_id,
        compaction_id=started.compaction_id,
        thread_id=started.thread_id,
        codex_turn_id=started.codex_turn_id,
        execution=window(event.wall_time_unix_ms, event.seq),
        model=started.model,
        provider_name=started.provider_name,
        raw_request_payload_id=started.request_payload.raw_payload_id,
        raw_response_payload_id=None,
    )
    trace.requests_by_compaction[started.compaction_id].add(request_id)
    trace.touch("compaction_requests", request_id)


def end_request(trace: Trace, event: Event, ended: RequestEnd) -> None:
    """A shorter history came back, or did not."""
    request = trace.graph.compaction_requests.get(ended.compaction_request_id)
    if request is None:
        raise ReductionError(f"the end of compaction request {ended.compaction_request_id}, which did not start")
    if request.compaction_id != ended.compaction_id:
        raise ReductionError(f"compaction request {ended.compaction_request_id} ends for another compaction")
    completed = isinstance(ended, CompactionRequestCompleted)
    request.execution.end(event.wall_time_unix_ms, event.seq, "completed" if completed else "failed")
    request.raw_response_payload_id = ended.response_payload.raw_payload_id if completed else None  # type: ignore[union-attr]
    trace.touch("compaction_requests", request.compaction_request_id)


def install(trace: Trace, event: Event, installed: CompactionInstalled) -> None:
    """A shorter history takes over: the next request is compared with it."""
    compaction_id, thread_id, turn_id = installed.compaction_id, event.thread_id, event.codex_turn_id
    what = f"compaction {compaction_id}"
    if thread_id is None or turn_id is None:
        raise ReductionError(f"{what} names no thread or no turn")
    if compaction_id in trace.graph.compactions:
        raise ReductionError(f"{what} is installed a second time")
    thread = trace.thread(thread_id)
    trace.check_turn(what, thread_id, turn_id)
    place = Place(thread_id, turn_id, event.wall_time_unix_ms)
    before, marker, after = _histories(trace, place, installed)
    trace.join_thread(thread, [*before, marker, *after])
    trace.replacements[thread_id] = after
    trace.graph.compactions[compaction_id] = Compaction(
        compaction_id=compaction_id,
        thread_id=thread_id,
        codex_turn_id=turn_id,
        installed_at_unix_ms=event.wall_time_unix_ms,
        marker_item_id=marker,
        request_ids=sorted(trace.requests_by_compaction.get(compaction_id, ())),
        input_item_ids=before,
        replacement_item_ids=after,
    )
    trace.touch("compactions", compaction_id)


def _histories(trace: Trace, place: Place, installed: CompactionInstalled) -> tuple[list[str], str, list[str]]:
    """The items before, the marker between, the items after."""
    ref = installed.checkpoint_payload
    value = trace.payload(ref)
    old = normalized_items(_history(value, "input_history", ref), trace, ref)
    new = normalized_items(_history(value, "replacement_history", ref), trace, ref)
    before = see_detached(trace, place, old, trace.snapshot(place.thread_id))
    producer = {"type": "compaction", "compaction_id": installed.compaction_id}
    marker = make(trace, place, _marker())
    trace.graph.conversation_items[marker].produced_by.append(producer)
    made = Place(place.thread_id, place.codex_turn_id, place.at_unix_ms, producer)
    return before, marker, see_detached(trace, made, new, trace.new_snapshot([]))


def _history(value: Any, name: str, ref: PayloadRef) -> list[Any]:
    history = get(value, name)
    if not isinstance(history, list):
        raise ReductionError(f"checkpoint payload {ref.raw_payload_id} has no list {name}")
    return history


def _marker() -> Normalized:
    marker = Normalized("assistant", None, "compaction_marker", [])
    marker.key = match_key(marker)
    return marker
