"""Events of inference calls flow in, calls that end exactly once flow out, with the evidence for it.

A call ends with its own terminal event, or with its turn if none came. A terminal event that comes after that changes
neither status nor end, but what it carries (output, ids, usage) is still attached.
"""

from __future__ import annotations

from traces.bundle.events import Event, InferenceCancelled, InferenceCompleted, InferenceFailed, InferenceStarted
from traces.bundle.shapes import ExecutionStatus, PayloadRef
from traces.reducer.conversation import Place, append_items, normalized_items, see_snapshot
from traces.reducer.errors import ReductionError
from traces.reducer.evidence import Evidence
from traces.reducer.graph import InferenceCall
from traces.reducer.items import ItemIds
from traces.reducer.normalize import Source, token_usage
from traces.reducer.requests import Request, read_request
from traces.reducer.serde import get
from traces.reducer.trace import Trace, window

Terminal = InferenceCompleted | InferenceFailed | InferenceCancelled

TURN_ENDS: dict[ExecutionStatus, ExecutionStatus] = {
    "completed": "cancelled",
    "cancelled": "cancelled",
    "failed": "failed",
    "aborted": "aborted",
}
"""How a call that its turn leaves running ends; a turn that "ends" as running closes nothing."""


# --- start ------------------------------------------------------------------------------------------------------------


def start_inference(trace: Trace, event: Event, started: InferenceStarted) -> None:
    """A request went out: everything in it is conversation."""
    call_id = started.inference_call_id
    if call_id in trace.graph.inference_calls:
        raise ReductionError(f"inference call {call_id} starts a second time")
    trace.check_turn(f"inference call {call_id}", started.thread_id, started.codex_turn_id)
    place = Place(started.thread_id, started.codex_turn_id, event.wall_time_unix_ms)
    item_ids = _request_items(trace, place, call_id, started.request_payload)
    trace.graph.inference_calls[call_id] = _call(event, started, item_ids)
    trace.latest_calls[started.thread_id] = call_id
    trace.running_calls[started.codex_turn_id].add(call_id)
    trace.evidence[call_id] = Evidence()
    trace.touch("inference_calls", call_id)


def _call(event: Event, started: InferenceStarted, item_ids: ItemIds) -> InferenceCall:
    return InferenceCall(
        inference_call_id=started.inference_call_id,
        thread_id=started.thread_id,
        codex_turn_id=started.codex_turn_id,
        execution=window(event.wall_time_unix_ms, event.seq),
        model=started.model,
        provider_name=started.provider_name,
        response_id=None,
        upstream_request_id=None,
        request_item_ids=item_ids,
        response_item_ids=[],
        tool_call_ids_started_by_response=[],
        usage=None,
        raw_request_payload_id=started.request_payload.raw_payload_id,
        raw_response_payload_id=None,
    )


def _request_items(trace: Trace, place: Place, call_id: str, ref: PayloadRef) -> ItemIds:
    thread_id = place.thread_id
    last = None if thread_id in trace.replacements else trace.last_requests.get(thread_id)
    source = Source(ref.raw_payload_id, trace.schema)
    request, trace.last_requests[thread_id] = read_request(trace.body(ref), last, source)
    thread = trace.thread(thread_id)
    if request.previous_response_id is not None:
        item_ids = _continued(trace, place, call_id, request)
        trace.join_thread(thread, item_ids.to_list())
        return item_ids
    known = len(trace.snapshot(thread_id).ids[: request.kept])
    item_ids = see_snapshot(trace, place, request.kept, request.items)
    trace.join_thread(thread, item_ids.shared[known : item_ids.length])
    return item_ids


def _continued(trace: Trace, place: Place, call_id: str, request: Request) -> ItemIds:
    """A request that holds only what follows an earlier response of its thread."""
    earlier = trace.calls_by_response.get((place.thread_id, request.previous_response_id or ""))
    if not earlier:
        raise ReductionError(
            f"inference call {call_id} follows response {request.previous_response_id}, which is not known"
        )
    call = trace.graph.inference_calls[min(earlier)]
    item_ids = [*call.request_item_ids, *call.response_item_ids]
    item_ids += append_items(trace, place, request.items, len(item_ids))
    return trace.snapshot(place.thread_id).become(0, item_ids)


# --- ends -------------------------------------------------------------------------------------------------------------


def end_inference(trace: Trace, event: Event, ended: Terminal) -> None:
    """A call's own end, with the output items that were complete by then."""
    call = trace.graph.inference_calls.get(ended.inference_call_id)
    if call is None:
        raise ReductionError(f"the end of inference call {ended.inference_call_id}, which did not start")
    ref = ended.response_payload if isinstance(ended, InferenceCompleted) else ended.partial_response_payload
    item_ids = _response_items(trace, event, call, ref) if ref is not None else None
    trace.set_response(call, ended.response_id if isinstance(ended, InferenceCompleted) else None)
    _note_end(trace, event, call, ended, len(item_ids or ()))
    if ended.upstream_request_id is not None:
        call.upstream_request_id = ended.upstream_request_id
    if ref is not None:
        call.raw_response_payload_id = ref.raw_payload_id
    if item_ids is not None:
        trace.set_response_items(call, item_ids)
    trace.touch("inference_calls", call.inference_call_id)


def _note_end(trace: Trace, event: Event, call: InferenceCall, ended: Terminal, items: int) -> None:
    evidence = trace.evidence[call.inference_call_id]
    text = _reason(ended)
    if call.execution.status != "running":
        evidence.add_late(event.seq, event.type, text, items)
        return
    evidence.observe(event.seq, event.type, text)
    status = event.type.removeprefix("inference_")
    trace.end_call(call, event.wall_time_unix_ms, event.seq, status)  # type: ignore[arg-type]


def _reason(ended: Terminal) -> str:
    if isinstance(ended, InferenceFailed):
        return ended.error
    return ended.reason if isinstance(ended, InferenceCancelled) else ""


def _response_items(trace: Trace, event: Event, call: InferenceCall, ref: PayloadRef) -> list[str]:
    value = trace.payload(ref)
    output = get(value, "output_items")
    if not isinstance(output, list):
        raise ReductionError(f"response payload {ref.raw_payload_id} has no output_items")
    producer = {"type": "inference", "inference_call_id": call.inference_call_id}
    place = Place(call.thread_id, call.codex_turn_id, event.wall_time_unix_ms, producer)
    items = normalized_items(output, trace, ref)
    item_ids = append_items(trace, place, items, len(trace.snapshot(call.thread_id)))
    _show_response(trace, call, item_ids)
    call.usage = token_usage(get(value, "token_usage")) or call.usage
    return item_ids


def _show_response(trace: Trace, call: InferenceCall, item_ids: list[str]) -> None:
    """What comes next is compared with all outputs so far (schema 1), or with those of the latest call alone.

    Between a compaction and the next full request outputs are compared with nothing.
    """
    snapshot = trace.snapshot(call.thread_id)
    if trace.schema == 1:
        snapshot.extended(item_ids)
        trace.join_thread(trace.thread(call.thread_id), item_ids)
    elif call.thread_id not in trace.replacements and trace.latest_calls[call.thread_id] == call.inference_call_id:
        snapshot.become(len(call.request_item_ids), item_ids)


def end_calls_of_turn(trace: Trace, event: Event, codex_turn_id: str, status: ExecutionStatus) -> None:
    """Closes the calls that a turn leaves running."""
    ends_as = TURN_ENDS.get(status)
    if ends_as is None:
        return
    for call_id in sorted(trace.running_calls.get(codex_turn_id, ())):
        trace.evidence[call_id].close(event.seq)
        trace.end_call(trace.graph.inference_calls[call_id], event.wall_time_unix_ms, event.seq, ends_as)
