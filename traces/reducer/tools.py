"""Events of tool calls flow in, tool calls linked with the items that asked for them and answered flow out."""

from __future__ import annotations

from msgspec import UNSET

from traces.bundle.events import (
    Event,
    McpToolCallCorrelationAssigned,
    ToolCallEnded,
    ToolCallRuntimeEnded,
    ToolCallRuntimeStarted,
    ToolCallStarted,
)
from traces.bundle.shapes import ExecCommand, TerminalSummary, ToolCallKind, WriteStdin
from traces.reducer.agents import begin_interaction, carry_result, end_interaction
from traces.reducer.code_cells import link_wait, name_started_cell, nest_tool, requester_of
from traces.reducer.errors import ReductionError
from traces.reducer.graph import ConversationItem, ToolCall
from traces.reducer.payload_shapes import McpInvocation, payload_shape
from traces.reducer.terminals import end_operation, observe, start_from_invocation, start_from_runtime
from traces.reducer.trace import Trace, push_unique, window

CALLS = ("function_call", "custom_tool_call")
OUTPUTS = ("function_call_output", "custom_tool_call_output")


# --- events -----------------------------------------------------------------------------------------------------------


def start_tool(trace: Trace, event: Event, started: ToolCallStarted) -> None:
    """A tool was called."""
    tool_call_id, call_id = started.tool_call_id, started.model_visible_call_id
    if tool_call_id in trace.graph.tool_calls:
        raise ReductionError(f"tool call {tool_call_id} starts a second time")
    if call_id is not None and call_id in trace.tool_by_call:
        raise ReductionError(f"call id {call_id} already belongs to tool call {trace.tool_by_call[call_id]}")
    thread_id = _thread_id(trace, event)
    requester = requester_of(trace, thread_id, started.requester)
    operation_id = start_from_invocation(trace, event, thread_id, started)
    link_wait(trace, thread_id, tool_call_id, started.invocation_payload)
    tool = _tool(event, started, thread_id, requester)
    trace.graph.tool_calls[tool_call_id] = tool
    trace.touch("tool_calls", tool_call_id)
    if operation_id is not None:
        _show_terminal(tool, operation_id)
    nest_tool(trace, tool)
    if call_id is not None:
        _link_call(trace, tool, call_id)
    observe(trace, tool)


def _thread_id(trace: Trace, event: Event) -> str:
    turn_id, thread_id = event.codex_turn_id, event.thread_id
    if thread_id is None:
        turn = trace.graph.codex_turns.get(turn_id or "")
        if turn is None:
            raise ReductionError("the tool call names no thread and no turn that started")
        thread_id = turn.thread_id
    trace.thread(thread_id)
    if turn_id is not None:
        trace.check_turn("the tool call", thread_id, turn_id)
    return thread_id


def _tool(event: Event, started: ToolCallStarted, thread_id: str, requester: dict[str, str]) -> ToolCall:
    ref = started.invocation_payload
    return ToolCall(
        tool_call_id=started.tool_call_id,
        mcp_call_id=None,
        model_visible_call_id=started.model_visible_call_id,
        code_mode_runtime_tool_id=started.code_mode_runtime_tool_id,
        started_code_cell_id=UNSET,
        thread_id=thread_id,
        started_by_codex_turn_id=event.codex_turn_id,
        execution=window(event.wall_time_unix_ms, event.seq),
        requester=requester,
        kind=started.kind,
        model_visible_call_item_ids=[],
        model_visible_output_item_ids=[],
        terminal_operation_id=None,
        summary=started.summary,
        raw_invocation_payload_id=ref.raw_payload_id if ref is not None else None,
        raw_result_payload_id=None,
        raw_runtime_payload_ids=[],
    )


def _link_call(trace: Trace, tool: ToolCall, call_id: str) -> None:
    """Links the items with the tool's call id that its thread has shown already."""
    trace.tool_by_call[call_id] = tool.tool_call_id
    tool.model_visible_call_item_ids = trace.call_items(tool.thread_id, call_id, *CALLS)
    _link_response(trace, tool)
    for item_id in trace.call_items(tool.thread_id, call_id, *OUTPUTS):
        _add_output(trace, tool, trace.graph.conversation_items[item_id])
    name_started_cell(trace, tool)
    trace.relink(call_id)


def _show_terminal(tool: ToolCall, operation_id: str) -> None:
    tool.terminal_operation_id = operation_id
    tool.summary = TerminalSummary(operation_id)


def start_runtime(trace: Trace, event: Event, started: ToolCallRuntimeStarted) -> None:
    """The runtime begins a tool; since schema 2 it also says what kind of tool it really is."""
    tool = trace.tool(started.tool_call_id, "the runtime begins")
    push_unique(tool.raw_runtime_payload_ids, started.runtime_payload.raw_payload_id)
    tool.kind = _runtime_kind(trace, tool, started)
    name_started_cell(trace, tool)
    if tool.terminal_operation_id is not None and isinstance(tool.kind, (ExecCommand, WriteStdin)):
        raise ReductionError(f"the runtime begins a second terminal operation for tool call {tool.tool_call_id}")
    operation_id = start_from_runtime(trace, event, tool, started.runtime_payload)
    if operation_id is not None:
        if tool.terminal_operation_id is None:
            _show_terminal(tool, operation_id)
        observe(trace, tool)
    begin_interaction(trace, tool, started.runtime_payload)


def _runtime_kind(trace: Trace, tool: ToolCall, started: ToolCallRuntimeStarted) -> ToolCallKind:
    """What the runtime takes a call for: the event says it (schema 2), or the call of an MCP server shows it."""
    if trace.schema >= 2:
        return payload_shape(started.kind, ToolCallKind, "the runtime begins a tool of no known kind")  # type: ignore[arg-type]
    ref = started.runtime_payload
    value = trace.payload(ref)
    if not isinstance(value, dict) or "invocation" not in value:
        return tool.kind
    return payload_shape(
        value["invocation"], McpInvocation, f"the MCP call in payload {ref.raw_payload_id} cannot be read"
    ).kind()


def end_runtime(trace: Trace, event: Event, ended: ToolCallRuntimeEnded) -> None:
    """The runtime ended a tool."""
    tool = trace.tool(ended.tool_call_id, "the runtime ends")
    push_unique(tool.raw_runtime_payload_ids, ended.runtime_payload.raw_payload_id)
    if tool.terminal_operation_id is not None:
        end_operation(trace, event, tool.thread_id, tool.terminal_operation_id, ended.status, ended.runtime_payload)
    end_interaction(trace, event, tool, ended.runtime_payload)


def end_tool(trace: Trace, event: Event, ended: ToolCallEnded) -> None:
    """The result of a tool went back. Without runtime events it is also the end of its terminal operation."""
    tool, ref = trace.tool(ended.tool_call_id, "the end"), ended.result_payload
    tool.execution.end(event.wall_time_unix_ms, event.seq, ended.status)
    tool.raw_result_payload_id = ref.raw_payload_id if ref is not None else None
    if tool.terminal_operation_id is not None and not tool.raw_runtime_payload_ids:
        end_operation(trace, event, tool.thread_id, tool.terminal_operation_id, ended.status, ref)
    carry_result(trace, tool, ref)


def correlate(trace: Trace, _event: Event, assigned: McpToolCallCorrelationAssigned) -> None:
    """A tool call reached an MCP server."""
    tool = trace.tool(assigned.tool_call_id, "an MCP id is given")
    if tool.mcp_call_id is not None:
        raise ReductionError(f"tool call {tool.tool_call_id} gets a second MCP id")
    tool.mcp_call_id = assigned.mcp_call_id


# --- items ------------------------------------------------------------------------------------------------------------


def attach_item(trace: Trace, item: ConversationItem) -> None:
    """Links an item with the tool its call id names, wherever that tool was called."""
    tool = trace.graph.tool_calls.get(trace.tool_by_call.get(item.call_id or "", ""))
    if tool is None:
        return
    if item.kind in CALLS:
        if push_unique(tool.model_visible_call_item_ids, item.item_id):
            trace.touch("tool_calls", tool.tool_call_id)
        _link_response(trace, tool)
    elif item.kind in OUTPUTS:
        _add_output(trace, tool, item)
    observe(trace, tool)


def _add_output(trace: Trace, tool: ToolCall, item: ConversationItem) -> None:
    if push_unique(tool.model_visible_output_item_ids, item.item_id):
        trace.touch("tool_calls", tool.tool_call_id)
    producer = {"type": "tool", "tool_call_id": tool.tool_call_id}
    if producer not in item.produced_by:
        item.produced_by.append(producer)
        trace.touch("conversation_items", item.item_id)


def _link_response(trace: Trace, tool: ToolCall) -> None:
    """Tells the calls whose response asked for the tool that it started."""
    for item_id in tool.model_visible_call_item_ids:
        for inference_call_id in sorted(trace.calls_by_item.get(item_id, ())):
            call = trace.graph.inference_calls[inference_call_id]
            if push_unique(call.tool_call_ids_started_by_response, tool.tool_call_id):
                trace.touch("inference_calls", inference_call_id)
