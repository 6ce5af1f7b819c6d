"""The objects of a reduced rollout: what `state.json` holds, section by section, with its very field names and order.

Ids are strings, times are milliseconds since 1970 in UTC, `seq` numbers are places in the log. A field that is UNSET is
left out of `state.json`, a field that is None stands there as null.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec
from msgspec import UnsetType

from traces.bundle.shapes import (
    CodeCellStatus,
    ExecutionStatus,
    PayloadRef,
    RolloutStatus,
    ToolCallKind,
    ToolCallSummary,
)
from traces.reducer.items import ItemIds

Section = Literal[
    "threads",
    "codex_turns",
    "conversation_items",
    "inference_calls",
    "code_cells",
    "tool_calls",
    "terminal_sessions",
    "terminal_operations",
    "compactions",
    "compaction_requests",
    "interaction_edges",
    "raw_payloads",
]

Part = dict[str, str]
"""One part of a body: `{"type": "text", "text": …}`, summary, encoded, json, code or payload_ref."""


class ExecutionWindow(msgspec.Struct):
    """When something ran and how it ended."""

    started_at_unix_ms: int
    started_seq: int
    ended_at_unix_ms: int | None = None
    ended_seq: int | None = None
    status: ExecutionStatus = "running"

    def end(self, at_unix_ms: int, seq: int, status: ExecutionStatus) -> None:
        """Closes the window."""
        self.ended_at_unix_ms = at_unix_ms
        self.ended_seq = seq
        self.status = status


class AgentThread(msgspec.Struct):
    """One agent, the root one included."""

    thread_id: str
    agent_path: str
    nickname: str | None
    origin: dict[str, str]
    execution: ExecutionWindow
    default_model: str | None
    conversation_item_ids: list[str]


class CodexTurn(msgspec.Struct):
    """One activation of a thread."""

    codex_turn_id: str
    thread_id: str
    execution: ExecutionWindow
    input_item_ids: list[str]


class AgentMessage(msgspec.Struct, frozen=True):
    """Who wrote a message between agents, and to whom."""

    author: str
    recipient: str


class Body(msgspec.Struct):
    """What an item says, part by part."""

    parts: list[Part]


class ConversationItem(msgspec.Struct):
    """One thing the model saw or said."""

    item_id: str
    responses_item_id: str | UnsetType
    accepted_at_unix_ms: int | UnsetType
    accepted_seq: int | UnsetType
    thread_id: str
    codex_turn_id: str | None
    first_seen_at_unix_ms: int
    role: str
    channel: str | None
    kind: str
    agent_message: AgentMessage | UnsetType
    body: Body
    call_id: str | None
    produced_by: list[dict[str, str]]


class TokenUsage(msgspec.Struct):
    """What the provider counted for one call."""

    input_tokens: int
    cached_input_tokens: int
    cache_write_input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int


class InferenceCall(msgspec.Struct):
    """One request to the model and how it ended."""

    inference_call_id: str
    thread_id: str
    codex_turn_id: str
    execution: ExecutionWindow
    model: str
    provider_name: str
    response_id: str | None
    upstream_request_id: str | None
    request_item_ids: ItemIds
    response_item_ids: list[str]
    tool_call_ids_started_by_response: list[str]
    usage: TokenUsage | None
    raw_request_payload_id: str
    raw_response_payload_id: str | None


class CodeCell(msgspec.Struct):
    """Code the model wrote, while it runs."""

    code_cell_id: str
    model_visible_call_id: str
    thread_id: str
    codex_turn_id: str
    source_item_id: str
    output_item_ids: list[str]
    runtime_cell_id: str | None
    execution: ExecutionWindow
    runtime_status: CodeCellStatus
    initial_response_at_unix_ms: int | None
    initial_response_seq: int | None
    initial_response_status: CodeCellStatus | None
    raw_initial_response_payload_id: str | None
    raw_result_payload_id: str | None
    yielded_at_unix_ms: int | None
    yielded_seq: int | None
    source_js: str
    nested_tool_call_ids: list[str]
    wait_tool_call_ids: list[str]


class ToolCall(msgspec.Struct):
    """Something the runtime did because the model, or the model's code, asked."""

    tool_call_id: str
    mcp_call_id: str | None
    model_visible_call_id: str | None
    code_mode_runtime_tool_id: str | None
    started_code_cell_id: str | UnsetType
    thread_id: str
    started_by_codex_turn_id: str | None
    execution: ExecutionWindow
    requester: dict[str, str]
    kind: ToolCallKind
    model_visible_call_item_ids: list[str]
    model_visible_output_item_ids: list[str]
    terminal_operation_id: str | None
    summary: ToolCallSummary
    raw_invocation_payload_id: str | None
    raw_result_payload_id: str | None
    raw_runtime_payload_ids: list[str]


class TerminalSession(msgspec.Struct):
    """A terminal that several operations share."""

    terminal_id: str
    thread_id: str
    created_by_operation_id: str
    operation_ids: list[str]
    execution: ExecutionWindow


class TerminalResult(msgspec.Struct):
    """What the runtime saw a terminal say."""

    exit_code: int | None
    stdout: str
    stderr: str
    formatted_output: str | None
    original_token_count: int | None = None
    chunk_id: str | None = None


class ModelObservation(msgspec.Struct):
    """The items in which the model saw a terminal operation."""

    call_item_ids: list[str]
    output_item_ids: list[str]
    source: str = "direct_tool_call"


class TerminalOperation(msgspec.Struct):
    """One command, or one write to a terminal."""

    operation_id: str
    terminal_id: str | None
    tool_call_id: str
    kind: str
    execution: ExecutionWindow
    request: dict[str, Any]
    result: TerminalResult | None
    model_observations: list[ModelObservation]
    raw_payload_ids: list[str]


class Compaction(msgspec.Struct):
    """Where a shorter history took the place of a longer one."""

    compaction_id: str
    thread_id: str
    codex_turn_id: str
    installed_at_unix_ms: int
    marker_item_id: str
    request_ids: list[str]
    input_item_ids: list[str]
    replacement_item_ids: list[str]


class CompactionRequest(msgspec.Struct):
    """One attempt to have a history shortened."""

    compaction_request_id: str
    compaction_id: str
    thread_id: str
    codex_turn_id: str
    execution: ExecutionWindow
    model: str
    provider_name: str
    raw_request_payload_id: str
    raw_response_payload_id: str | None


class InteractionEdge(msgspec.Struct):
    """What flowed from one object to another, mostly between agents."""

    edge_id: str
    kind: str
    source: dict[str, str]
    target: dict[str, str]
    started_at_unix_ms: int
    ended_at_unix_ms: int | None
    carried_item_ids: list[str]
    carried_raw_payload_ids: list[str]


class Graph(msgspec.Struct):
    """A reduced rollout."""

    schema_version: int
    trace_id: str
    rollout_id: str
    started_at_unix_ms: int
    ended_at_unix_ms: int | None
    status: RolloutStatus
    recording_complete: bool | UnsetType
    root_thread_id: str
    threads: dict[str, AgentThread] = {}
    codex_turns: dict[str, CodexTurn] = {}
    conversation_items: dict[str, ConversationItem] = {}
    inference_calls: dict[str, InferenceCall] = {}
    code_cells: dict[str, CodeCell] = {}
    tool_calls: dict[str, ToolCall] = {}
    terminal_sessions: dict[str, TerminalSession] = {}
    terminal_operations: dict[str, TerminalOperation] = {}
    compactions: dict[str, Compaction] = {}
    compaction_requests: dict[str, CompactionRequest] = {}
    interaction_edges: dict[str, InteractionEdge] = {}
    raw_payloads: dict[str, PayloadRef] = {}


SECTIONS: tuple[Section, ...] = get_args(Section)
