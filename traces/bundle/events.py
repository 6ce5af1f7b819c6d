"""Lines of a trace log flow in, one typed event for each flows out (schema 1 and schema 2).

The structs hold exactly the fields the format names; unknown fields are ignored and missing optional ones are None, as
the published clients 0.164.0 (schema 1) and 0.169.0 (schema 2) read them.
"""

import json
import re
from typing import Any, get_args

import msgspec

from traces.bundle.errors import BundleError, wrong_json
from traces.bundle.limits import REFERENCE_DEPTH
from traces.bundle.shapes import (
    I64,
    U32,
    U64,
    U64_MAX,
    CodeCellStatus,
    ExecutionStatus,
    PayloadKind,
    PayloadRef,
    Requester,
    RolloutStatus,
    Tagged,
    ToolCallKind,
    ToolCallSummary,
)

# --- the events -------------------------------------------------------------------------------------------------------


class RolloutStarted(Tagged, tag="rollout_started"):
    """The recording begins."""

    trace_id: str
    root_thread_id: str


class RolloutEnded(Tagged, tag="rollout_ended"):
    """The session ended."""

    status: RolloutStatus


class RecordingCompleted(Tagged, tag="recording_completed"):
    """Nothing follows (schema 2, client 0.169)."""


class ThreadStarted(Tagged, tag="thread_started"):
    """An agent began."""

    thread_id: str
    agent_path: str
    metadata_payload: PayloadRef | None = None


class ThreadEnded(Tagged, tag="thread_ended"):
    """An agent ended."""

    thread_id: str
    status: RolloutStatus


class ThreadResumed(Tagged, tag="thread_resumed"):
    """An agent went on in this recording (schema 2)."""

    thread_id: str


class CodexTurnStarted(Tagged, tag="codex_turn_started"):
    """A thread became active."""

    codex_turn_id: str
    thread_id: str


class CodexTurnEnded(Tagged, tag="codex_turn_ended"):
    """A thread came to rest."""

    codex_turn_id: str
    status: ExecutionStatus


class HistoryItemAccepted(Tagged, tag="history_item_accepted", omit_defaults=True):
    """An item entered the history of a thread (schema 2)."""

    item_id: str
    agent_message_payload: PayloadRef | None = None


class InferenceStarted(Tagged, tag="inference_started"):
    """A request went to the model."""

    inference_call_id: str
    thread_id: str
    codex_turn_id: str
    model: str
    provider_name: str
    request_payload: PayloadRef


class InferenceCompleted(Tagged, tag="inference_completed"):
    """The provider finished its response."""

    inference_call_id: str
    response_payload: PayloadRef
    response_id: str | None = None
    upstream_request_id: str | None = None


class InferenceFailed(Tagged, tag="inference_failed"):
    """The provider failed, or its stream ended before the response was complete."""

    inference_call_id: str
    error: str
    upstream_request_id: str | None = None
    partial_response_payload: PayloadRef | None = None


class InferenceCancelled(Tagged, tag="inference_cancelled"):
    """The client stopped reading the stream."""

    inference_call_id: str
    reason: str
    upstream_request_id: str | None = None
    partial_response_payload: PayloadRef | None = None


class ToolCallStarted(Tagged, tag="tool_call_started"):
    """A tool was called."""

    tool_call_id: str
    requester: Requester
    kind: ToolCallKind
    summary: ToolCallSummary
    model_visible_call_id: str | None = None
    code_mode_runtime_tool_id: str | None = None
    invocation_payload: PayloadRef | None = None


class McpToolCallCorrelationAssigned(Tagged, tag="mcp_tool_call_correlation_assigned"):
    """A tool call reached an MCP server under this id."""

    tool_call_id: str
    mcp_call_id: str


class StdinTargetResolved(Tagged, tag="stdin_target_resolved"):
    """A write to a terminal was matched with the call that opened it."""

    tool_call_id: str
    exec_tool_call_id: str


class ToolCallRuntimeStarted(Tagged, tag="tool_call_runtime_started", omit_defaults=True):
    """The runtime began a tool."""

    tool_call_id: str
    runtime_payload: PayloadRef
    kind: Any = None


class ToolCallRuntimeEnded(Tagged, tag="tool_call_runtime_ended"):
    """The runtime ended a tool."""

    tool_call_id: str
    status: ExecutionStatus
    runtime_payload: PayloadRef


class ToolCallEnded(Tagged, tag="tool_call_ended"):
    """The result of a tool went back to whoever asked."""

    tool_call_id: str
    status: ExecutionStatus
    result_payload: PayloadRef | None = None


class CodeCellStarted(Tagged, tag="code_cell_started"):
    """Code that the model wrote began to run."""

    runtime_cell_id: str
    model_visible_call_id: str
    source_js: str


class CodeCellInitialResponse(Tagged, tag="code_cell_initial_response"):
    """The first answer of a code cell, which may go on in the background."""

    runtime_cell_id: str
    status: CodeCellStatus
    response_payload: PayloadRef | None = None


class CodeCellEnded(Tagged, tag="code_cell_ended"):
    """A code cell ended."""

    runtime_cell_id: str
    status: CodeCellStatus
    response_payload: PayloadRef | None = None


class CompactionRequestStarted(Tagged, tag="compaction_request_started"):
    """The history was sent away to be shortened."""

    compaction_id: str
    compaction_request_id: str
    thread_id: str
    codex_turn_id: str
    model: str
    provider_name: str
    request_payload: PayloadRef


class CompactionRequestCompleted(Tagged, tag="compaction_request_completed"):
    """A shorter history came back."""

    compaction_id: str
    compaction_request_id: str
    response_payload: PayloadRef


class CompactionRequestFailed(Tagged, tag="compaction_request_failed"):
    """No shorter history came back."""

    compaction_id: str
    compaction_request_id: str
    error: str


class CompactionInstalled(Tagged, tag="compaction_installed"):
    """The shorter history took the place of the old one."""

    compaction_id: str
    checkpoint_payload: PayloadRef


class AgentResultObserved(Tagged, tag="agent_result_observed"):
    """An agent reported back to its parent."""

    edge_id: str
    child_thread_id: str
    child_codex_turn_id: str
    parent_thread_id: str
    message: str
    carried_payload: PayloadRef | None = None


class ProtocolEventObserved(Tagged, tag="protocol_event_observed"):
    """An event of the client's own protocol, kept as it was."""

    event_type: str
    event_payload: PayloadRef


class OtherEvent(Tagged, tag="other"):
    """Something without a type of its own; both references refuse to reduce it."""

    kind: str
    summary: str
    payloads: list[PayloadRef]
    metadata: Any


EventPayload = (
    RolloutStarted
    | RolloutEnded
    | RecordingCompleted
    | ThreadStarted
    | ThreadEnded
    | ThreadResumed
    | CodexTurnStarted
    | CodexTurnEnded
    | HistoryItemAccepted
    | InferenceStarted
    | InferenceCompleted
    | InferenceFailed
    | InferenceCancelled
    | ToolCallStarted
    | McpToolCallCorrelationAssigned
    | StdinTargetResolved
    | ToolCallRuntimeStarted
    | ToolCallRuntimeEnded
    | ToolCallEnded
    | CodeCellStarted
    | CodeCellInitialResponse
    | CodeCellEnded
    | CompactionRequestStarted
    | CompactionRequestCompleted
    | CompactionRequestFailed
    | CompactionInstalled
    | AgentResultObserved
    | ProtocolEventObserved
    | OtherEvent
)

SCHEMA_2_ONLY = (RecordingCompleted, ThreadResumed, HistoryItemAccepted)
PAYLOAD_FIELDS = (
    "metadata_payload",
    "agent_message_payload",
    "request_payload",
    "response_payload",
    "partial_response_payload",
    "invocation_payload",
    "runtime_payload",
    "result_payload",
    "checkpoint_payload",
    "carried_payload",
    "event_payload",
)


class Event(msgspec.Struct):
    """One line of the log. `seq` is the order, `wall_time_unix_ms` is for display."""

    schema_version: U32
    seq: U64
    wall_time_unix_ms: I64
    rollout_id: str
    payload: EventPayload
    thread_id: str | None = None
    codex_turn_id: str | None = None

    @property
    def type(self) -> str:
        """The event's type as the log spells it."""
        return str(self.payload.__struct_config__.tag)


_UNKNOWN_TYPE = re.compile(r"Invalid value '(.*)' - at `\$\.payload\.type`", re.DOTALL)
_decoder = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder()


def decode_event(line: bytes) -> Event:
    """Reads one line of the log; raises BundleError with what is wrong with it."""
    try:
        line.decode()
        event = _decoder.decode(line)
        if len(_encoder.encode(event)) != len(line):
            _refuse_repeated(line)
    except RecursionError as error:
        raise BundleError(f"this line is not an event: it nests deeper than {REFERENCE_DEPTH} levels") from error
    except ValueError as error:
        raise BundleError(f"this line is not an event: {_wrong(error)}") from error
    if event.seq > U64_MAX:
        raise BundleError("this line is not an event: its seq is larger than 64 bits")
    return event


def _wrong(error: ValueError) -> str:
    unknown = _UNKNOWN_TYPE.fullmatch(str(error))
    return f"its type '{unknown[1]}' is not known here" if unknown else wrong_json(error)


def _refuse_repeated(line: bytes) -> None:
    """A line that is not as the client writes it may name a field twice, which both clients refuse."""
    json.loads(line, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs if name in _FIELDS]
    if len(names) != len(set(names)):
        raise ValueError("a field stands twice")
    return dict(pairs)


_KINDS: tuple[type[Tagged], ...] = get_args(EventPayload)
_STRUCTS = (Event, PayloadRef, PayloadKind, *_KINDS, *get_args(ToolCallKind), *get_args(ToolCallSummary))
_FIELDS = frozenset(("type", *(name for kind in _STRUCTS for name in kind.__struct_fields__)))
_PAYLOAD_FIELDS_OF = {kind: tuple(name for name in kind.__struct_fields__ if name in PAYLOAD_FIELDS) for kind in _KINDS}


def payload_refs(payload: EventPayload) -> list[PayloadRef]:
    """The payloads an event names, in the order of its fields."""
    if isinstance(payload, OtherEvent):
        return list(payload.payloads)
    refs = [getattr(payload, name) for name in _PAYLOAD_FIELDS_OF[type(payload)]]
    return [ref for ref in refs if ref is not None]
