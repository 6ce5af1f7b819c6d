"""Tool calls that touch a terminal flow in, terminal operations and the sessions they share flow out.

Sessions get ids of the reducer's own, as 0.164.0 and 0.169.0 give them: the runtime uses its process ids again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from traces.bundle.events import Event, StdinTargetResolved
from traces.bundle.shapes import ExecCommand, ExecutionStatus, PayloadRef, ToolCallKind, WriteStdin
from traces.reducer.errors import ReductionError
from traces.reducer.graph import (
    ModelObservation,
    TerminalOperation,
    TerminalResult,
    TerminalSession,
    ToolCall,
)
from traces.reducer.payload_shapes import (
    CodeModeExecResult,
    CodeModeResponse,
    DirectResponse,
    DispatchedRequest,
    DispatchedResponse,
    ExecBegin,
    ExecEnd,
    WriteStdinArgs,
    payload_shape,
    refuse_repeated,
    shape,
)
from traces.reducer.serde import Number, compact, decode, get
from traces.reducer.trace import Trace, push_unique, window


class Started(msgspec.Struct):
    """What is asked of a terminal, and in which process."""

    kind: str
    process_id: str | None
    request: dict[str, Any]


# --- starts -----------------------------------------------------------------------------------------------------------


def start_from_invocation(trace: Trace, event: Event, thread_id: str, started: Any) -> str | None:
    """A write to a terminal has no runtime event of its own: its operation begins with the call."""
    ref = started.invocation_payload
    if not isinstance(started.kind, WriteStdin) or ref is None:
        return None
    what = f"the write_stdin call in payload {ref.raw_payload_id} cannot be read"
    asked = payload_shape(trace.payload(ref), DispatchedRequest, what)
    if asked.tool_namespace is not None:
        return None
    if asked.tool_name != "write_stdin" or asked.payload.type != "function" or asked.payload.arguments is None:
        raise ReductionError(f"{what}: it is no function call of write_stdin with arguments")
    try:
        written = _written(asked.payload.arguments)
    except ValueError as error:
        if trace.schema >= 2:
            return None
        raise ReductionError(f"{what}: {error}") from error
    return _add(trace, event, thread_id, started.tool_call_id, ref, written)


def _written(arguments: str) -> Started:
    refuse_repeated(arguments, WriteStdinArgs)
    args = shape(decode(arguments.encode()), WriteStdinArgs)
    request: dict[str, Any] = {"type": "write_stdin", "stdin": args.chars}
    request |= {"yield_time_ms": args.yield_time_ms, "max_output_tokens": args.max_output_tokens}
    return Started("write_stdin", _process(args.session_id), request)


def _process(session: Any) -> str:
    if isinstance(session, str) and session:
        return session
    if isinstance(session, (int, Number)) and not isinstance(session, bool):
        return compact(session).decode()
    raise ValueError("it has no session_id")


def start_from_runtime(trace: Trace, event: Event, tool: ToolCall, ref: PayloadRef) -> str | None:
    """A command begins in the runtime."""
    if not isinstance(tool.kind, (ExecCommand, WriteStdin)):
        return None
    what = f"the start of a terminal operation in payload {ref.raw_payload_id} cannot be read"
    begin = payload_shape(trace.payload(ref), ExecBegin, what)
    return _add(trace, event, tool.thread_id, tool.tool_call_id, ref, _begun(begin, tool.kind))


def _begun(begin: ExecBegin, kind: ToolCallKind) -> Started:
    if isinstance(kind, ExecCommand):
        request: dict[str, Any] = {"type": "exec_command", "command": begin.command}
        request |= {"display_command": " ".join(begin.command), "cwd": begin.cwd}
    else:
        request = {"type": "write_stdin", "stdin": begin.interaction_input or ""}
    request |= {"yield_time_ms": None, "max_output_tokens": None}
    return Started(request["type"], begin.process_id, request)


def _add(trace: Trace, event: Event, thread_id: str, tool_call_id: str, ref: PayloadRef, started: Started) -> str:
    operation_id = f"terminal_operation:{len(trace.graph.terminal_operations) + 1}"
    operation = TerminalOperation(
        operation_id=operation_id,
        terminal_id=None,
        tool_call_id=tool_call_id,
        kind=started.kind,
        execution=window(event.wall_time_unix_ms, event.seq),
        request=started.request,
        result=None,
        model_observations=[],
        raw_payload_ids=[ref.raw_payload_id],
    )
    trace.graph.terminal_operations[operation_id] = operation
    trace.touch("terminal_operations", operation_id)
    if started.process_id is not None:
        _join_process(trace, operation, thread_id, started.process_id)
    return operation_id


# --- sessions ---------------------------------------------------------------------------------------------------------


def _join_process(trace: Trace, operation: TerminalOperation, thread_id: str, process_id: str) -> None:
    """A command opens a session for its process; a write joins the one its process has, or opens one."""
    trace.process_ids[operation.operation_id] = process_id
    key = (thread_id, process_id)
    session_id = trace.sessions_by_process.get(key) if operation.kind == "write_stdin" else None
    session_id = session_id or f"terminal_session:{operation.operation_id}"
    trace.sessions_by_process[key] = session_id
    _join_session(trace, operation, thread_id, session_id)


def _join_session(trace: Trace, operation: TerminalOperation, thread_id: str, session_id: str) -> None:
    session = trace.graph.terminal_sessions.get(session_id)
    if session is None:
        session = trace.graph.terminal_sessions[session_id] = TerminalSession(
            terminal_id=session_id,
            thread_id=thread_id,
            created_by_operation_id=operation.operation_id,
            operation_ids=[],
            execution=window(operation.execution.started_at_unix_ms, operation.execution.started_seq),
        )
    operation.terminal_id = session_id
    push_unique(session.operation_ids, operation.operation_id)
    trace.touch("terminal_sessions", session_id)
    trace.touch("terminal_operations", operation.operation_id)


def resolve_stdin_target(trace: Trace, _event: Event, resolved: StdinTargetResolved) -> None:
    """The runtime says which command a write went to; it knows better than the process id."""
    tools = trace.graph.tool_calls
    writer, target = tools.get(resolved.tool_call_id), tools.get(resolved.exec_tool_call_id)
    if writer is None:
        raise ReductionError(
            f"the target of a write was found for tool call {resolved.tool_call_id}, which did not start"
        )
    if target is None:
        raise ReductionError(f"a write went to tool call {resolved.exec_tool_call_id}, which did not start")
    operation = trace.graph.terminal_operations.get(writer.terminal_operation_id or "")
    opened = trace.graph.terminal_operations.get(target.terminal_operation_id or "")
    if operation is None or opened is None or opened.terminal_id is None or opened.terminal_id == operation.terminal_id:
        return
    _leave_session(trace, operation)
    trace.process_ids[operation.operation_id] = trace.process_ids[opened.operation_id]
    _join_session(trace, operation, writer.thread_id, opened.terminal_id)


def _leave_session(trace: Trace, operation: TerminalOperation) -> None:
    session = trace.graph.terminal_sessions.get(operation.terminal_id or "")
    if session is None:
        return
    session.operation_ids.remove(operation.operation_id)
    trace.touch("terminal_sessions", session.terminal_id)
    if not session.operation_ids:
        del trace.graph.terminal_sessions[session.terminal_id]


# --- ends -------------------------------------------------------------------------------------------------------------


def end_operation(
    trace: Trace, event: Event, thread_id: str, operation_id: str, status: ExecutionStatus, ref: PayloadRef | None
) -> None:
    """A command or write ended; its payload says with what."""
    operation = trace.graph.terminal_operations[operation_id]
    ended = _ended(trace, operation, ref) if ref is not None else None
    operation.execution.end(event.wall_time_unix_ms, event.seq, status)
    trace.touch("terminal_operations", operation_id)
    if ref is None or ended is None:
        return
    process_id, operation.result = ended
    push_unique(operation.raw_payload_ids, ref.raw_payload_id)
    if process_id is None:
        return
    known = trace.process_ids.get(operation_id)
    if known is None:
        _join_process(trace, operation, thread_id, process_id)
    elif known != process_id:
        raise ReductionError(f"terminal operation {operation_id} changed its process from {known} to {process_id}")


def _ended(trace: Trace, operation: TerminalOperation, ref: PayloadRef) -> tuple[str | None, TerminalResult]:
    value = trace.payload(ref)
    what = f"the end of a terminal operation in payload {ref.raw_payload_id} cannot be read"
    try:
        end = shape(value, ExecEnd)
    except msgspec.ValidationError as error:
        if operation.kind == "exec_command":
            raise ReductionError(f"{what}: {error}") from error
        return None, _dispatched(payload_shape(value, DispatchedResponse, what))  # type: ignore[arg-type]
    return end.process_id, TerminalResult(end.exit_code, end.aggregated_output, "", None)


def _dispatched(answer: Any) -> TerminalResult:
    if isinstance(answer, DirectResponse):
        item = answer.response_item
        text = _text(get(item, "output"))
        return _said(compact(item).decode() if text is None else text)
    if isinstance(answer, CodeModeResponse):
        return _code_mode(answer.value)
    return TerminalResult(None, "", answer.error, answer.error)


def _code_mode(value: Any) -> TerminalResult:
    try:
        found = shape(value, CodeModeExecResult)
    except msgspec.ValidationError:
        text = _text(value)
        return _said(compact(value).decode() if text is None else text)
    return TerminalResult(found.exit_code, found.output, "", found.output, found.original_token_count, found.chunk_id)


def _said(text: str) -> TerminalResult:
    return TerminalResult(None, text, "", text)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = [text for entry in value if isinstance(text := get(entry, "text"), str)]
        return "\n".join(texts) or None
    return compact(value).decode()


# --- what the model saw -----------------------------------------------------------------------------------------------


def observe(trace: Trace, tool: ToolCall) -> None:
    """Mirrors the items in which the model saw a tool onto its terminal operation."""
    operation = trace.graph.terminal_operations.get(tool.terminal_operation_id or "")
    if operation is None or not (tool.model_visible_call_item_ids or tool.model_visible_output_item_ids):
        return
    seen = ModelObservation(list(tool.model_visible_call_item_ids), list(tool.model_visible_output_item_ids))
    if operation.model_observations != [seen]:
        operation.model_observations = [seen]
        trace.touch("terminal_operations", operation.operation_id)
