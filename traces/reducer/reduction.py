"""Events flow in one by one, a graph that is complete after each of them flows out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec

from traces.bundle.events import (
    SCHEMA_2_ONLY,
    AgentResultObserved,
    CodeCellEnded,
    CodeCellInitialResponse,
    CodeCellStarted,
    CodexTurnEnded,
    CodexTurnStarted,
    CompactionInstalled,
    CompactionRequestCompleted,
    CompactionRequestFailed,
    CompactionRequestStarted,
    Event,
    HistoryItemAccepted,
    InferenceCancelled,
    InferenceCompleted,
    InferenceFailed,
    InferenceStarted,
    McpToolCallCorrelationAssigned,
    OtherEvent,
    ProtocolEventObserved,
    RecordingCompleted,
    RolloutEnded,
    RolloutStarted,
    StdinTargetResolved,
    ThreadEnded,
    ThreadResumed,
    ThreadStarted,
    ToolCallEnded,
    ToolCallRuntimeEnded,
    ToolCallRuntimeStarted,
    ToolCallStarted,
    payload_refs,
)
from traces.bundle.manifest import Manifest
from traces.reducer import agents, code_cells, compactions, inferences, terminals, threads, tools
from traces.reducer.conversation import Place, accept, accept_agent_message
from traces.reducer.errors import ReductionError
from traces.reducer.evidence import Evidence
from traces.reducer.graph import Graph, Section
from traces.reducer.items import ItemIds
from traces.reducer.state import to_json
from traces.reducer.trace import ReadPayload, Trace

SCHEMAS = (1, 2)
Touched = dict[Section, set[str]]


class Changes(msgspec.Struct, frozen=True):
    """What one event made new or different: ids by section of `state.json`."""

    touched: Touched


class Reducer:
    """Reduces one rollout, event by event.

    A failed `apply` may leave half an event behind: throw the reducer away and apply the events before it to a new one.
    """

    def __init__(self, manifest: Manifest, read_payload: ReadPayload) -> None:
        if manifest.schema_version not in SCHEMAS:
            raise ReductionError(f"schema {manifest.schema_version} is not known; this reducer knows 1 and 2")
        self.trace = Trace(manifest, read_payload)
        self.last_seq = 0

    @property
    def graph(self) -> Graph:
        """The graph as it is now; `finish` completes it at the end of the log."""
        return self.trace.graph

    @property
    def evidence(self) -> dict[str, Evidence]:
        """How the end of each inference call is known, by its id."""
        return self.trace.evidence

    def apply(self, event: Event, line: int = 0) -> Changes:
        """Applies one event; raises ReductionError with its seq and line where the reference refuses it."""
        try:
            self._check(event)
            self._keep_payloads(event)
            RULES[type(event.payload)](self.trace, event, event.payload)
        except ReductionError as error:
            error.seq, error.line = event.seq, line
            raise
        self.last_seq = event.seq
        self.trace.values.clear()
        return self._changes()

    def finish(self) -> Changes:
        """The log ends here: what waited for later events is settled without them."""
        agents.finish_edges(self.trace)
        return self._changes()

    def state(self) -> bytes:
        """`state.json`, byte for byte as the reference writes it."""
        return to_json(self.trace.graph)

    def object(self, section: Section, object_id: str) -> dict[str, Any]:
        """One object as it stands in `state.json`."""
        found = getattr(self.trace.graph, section)[object_id]
        value: dict[str, Any] = msgspec.to_builtins(found, enc_hook=_list)
        return value

    def _changes(self) -> Changes:
        touched, self.trace.touched = self.trace.touched, defaultdict(set)
        return Changes(touched)

    def _check(self, event: Event) -> None:
        """Schema 1 takes lines as they come, schema 2 wants every line in its place."""
        graph = self.trace.graph
        if self.trace.schema == 1:
            if isinstance(event.payload, SCHEMA_2_ONLY):
                raise ReductionError(f"events of type {event.type} are not known to schema 1")
            return
        if event.schema_version != self.trace.schema:
            raise ReductionError(f"the line is of schema {event.schema_version}, the recording of {self.trace.schema}")
        if event.rollout_id != graph.rollout_id:
            raise ReductionError(f"the line belongs to another rollout, {event.rollout_id}")
        if event.seq != self.last_seq + 1:
            raise ReductionError(f"events are missing or out of order: expected seq {self.last_seq + 1}")
        if graph.recording_complete is True:
            raise ReductionError("the recording was complete before this event")

    def _keep_payloads(self, event: Event) -> None:
        """Notes the payloads an event names; schema 2 wants each to be there, and JSON."""
        for ref in payload_refs(event.payload):
            self.trace.graph.raw_payloads[ref.raw_payload_id] = ref
            self.trace.touch("raw_payloads", ref.raw_payload_id)
            if self.trace.schema >= 2 and not isinstance(event.payload, InferenceStarted):
                self.trace.check_payload(ref)


def _list(value: Any) -> list[str]:
    if isinstance(value, ItemIds):
        return value.to_list()
    raise NotImplementedError(type(value).__name__)


# --- events that only touch the rollout itself ------------------------------------------------------------------------


def _start_rollout(trace: Trace, _event: Event, started: RolloutStarted) -> None:
    trace.graph.trace_id, trace.graph.root_thread_id = started.trace_id, started.root_thread_id


def _end_rollout(trace: Trace, event: Event, ended: RolloutEnded) -> None:
    trace.graph.status, trace.graph.ended_at_unix_ms = ended.status, event.wall_time_unix_ms


def _complete_recording(trace: Trace, _event: Event, _payload: RecordingCompleted) -> None:
    trace.graph.recording_complete = True


def _nothing(_trace: Trace, _event: Event, _payload: ProtocolEventObserved) -> None:
    """Kept as evidence, not part of the graph."""


def _refuse(_trace: Trace, _event: Event, other: OtherEvent) -> None:
    raise ReductionError(f"there is no rule for events of type other ({other.kind})")


def _accept(trace: Trace, event: Event, accepted: HistoryItemAccepted) -> None:
    if event.thread_id is None:
        raise ReductionError("an item was accepted by no thread")
    trace.thread(event.thread_id)
    place = Place(event.thread_id, event.codex_turn_id, event.wall_time_unix_ms)
    if accepted.agent_message_payload is None:
        accept(trace, place, accepted.item_id, event.seq)
    else:
        accept_agent_message(trace, place, accepted.item_id, accepted.agent_message_payload, event.seq)


Rule = Callable[[Trace, Event, Any], None]

RULES: dict[type, Rule] = {
    RolloutStarted: _start_rollout,
    RolloutEnded: _end_rollout,
    RecordingCompleted: _complete_recording,
    ThreadStarted: threads.start_thread,
    ThreadEnded: threads.end_thread,
    ThreadResumed: threads.resume_thread,
    CodexTurnStarted: threads.start_turn,
    CodexTurnEnded: threads.end_turn,
    HistoryItemAccepted: _accept,
    InferenceStarted: inferences.start_inference,
    InferenceCompleted: inferences.end_inference,
    InferenceFailed: inferences.end_inference,
    InferenceCancelled: inferences.end_inference,
    ToolCallStarted: tools.start_tool,
    McpToolCallCorrelationAssigned: tools.correlate,
    StdinTargetResolved: terminals.resolve_stdin_target,
    ToolCallRuntimeStarted: tools.start_runtime,
    ToolCallRuntimeEnded: tools.end_runtime,
    ToolCallEnded: tools.end_tool,
    CodeCellStarted: code_cells.start_cell,
    CodeCellInitialResponse: code_cells.change_cell,
    CodeCellEnded: code_cells.change_cell,
    CompactionRequestStarted: compactions.start_request,
    CompactionRequestCompleted: compactions.end_request,
    CompactionRequestFailed: compactions.end_request,
    CompactionInstalled: compactions.install,
    AgentResultObserved: agents.report_result,
    ProtocolEventObserved: _nothing,
    OtherEvent: _refuse,
}
