"""Events of code that the model wrote flow in, code cells flow out.

A cell belongs to the item that asked for it. The runtime may start it before the response with that item was recorded:
then the start waits, and so does what happens to the cell meanwhile.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from traces.bundle.events import CodeCellEnded, CodeCellInitialResponse, CodeCellStarted, Event
from traces.bundle.shapes import CodeCellRequester, CodeCellStatus, ExecutionStatus, Other, PayloadRef, Requester
from traces.reducer.errors import ReductionError
from traces.reducer.graph import CodeCell, ConversationItem, ToolCall
from traces.reducer.serde import decode, get
from traces.reducer.trace import Trace, WaitingCell, push_unique, window

CELL_ENDS: dict[CodeCellStatus, ExecutionStatus] = {
    "starting": "running",
    "running": "running",
    "yielded": "running",
    "completed": "completed",
    "failed": "failed",
    "terminated": "cancelled",
}
TURN_ENDS: dict[ExecutionStatus, CodeCellStatus] = {
    "failed": "failed",
    "cancelled": "terminated",
    "aborted": "terminated",
}


def cell_id_of(model_visible_call_id: str) -> str:
    """A cell is named after the call that asked for it."""
    return f"code_cell:{model_visible_call_id}"


# --- the cell's own events --------------------------------------------------------------------------------------------


def start_cell(trace: Trace, event: Event, started: CodeCellStarted) -> None:
    """A cell starts, or waits for the item that asked for it."""
    thread_id = _thread_id(trace, event, started.runtime_cell_id)
    code_cell_id = cell_id_of(started.model_visible_call_id)
    _name_cell(trace, thread_id, started.runtime_cell_id, code_cell_id)
    source = _source(trace, thread_id, started)
    if source is not None:
        _add(trace, event, thread_id, started, source)
        return
    if code_cell_id in trace.graph.code_cells or code_cell_id in trace.waiting_cells:
        raise ReductionError(f"code cell {code_cell_id} starts a second time")
    trace.waiting_cells[code_cell_id] = WaitingCell(event, thread_id, [])


def change_cell(trace: Trace, event: Event, change: CodeCellInitialResponse | CodeCellEnded) -> None:
    """A cell answers or ends; if it still waits, so does this."""
    thread_id = _thread_id(trace, event, change.runtime_cell_id)
    code_cell_id = trace.cells_by_runtime.get((thread_id, change.runtime_cell_id))
    if code_cell_id is None:
        raise ReductionError(f"runtime cell {change.runtime_cell_id} of thread {thread_id} is not known")
    waiting = trace.waiting_cells.get(code_cell_id)
    if code_cell_id in trace.graph.code_cells:
        _change(trace, event, trace.graph.code_cells[code_cell_id], change)
    elif waiting is not None:
        waiting.later.append(event)
    else:
        raise ReductionError(f"code cell {code_cell_id} is not known")


def start_waiting_cells(trace: Trace) -> None:
    """Starts the cells whose item has been seen meanwhile."""
    if not trace.waiting_cells:
        return
    for code_cell_id, waiting in sorted(trace.waiting_cells.items()):
        started: Any = waiting.start.payload
        source = _source(trace, waiting.thread_id, started)
        if source is None:
            continue
        del trace.waiting_cells[code_cell_id]
        _add(trace, waiting.start, waiting.thread_id, started, source)
        for event in sorted(waiting.later, key=lambda later: later.seq):
            change: Any = event.payload
            _change(trace, event, trace.graph.code_cells[code_cell_id], change)


def _thread_id(trace: Trace, event: Event, runtime_cell_id: str) -> str:
    if event.thread_id is not None:
        return event.thread_id
    turn = trace.graph.codex_turns.get(event.codex_turn_id or "")
    if turn is None:
        raise ReductionError(f"the event of runtime cell {runtime_cell_id} names no thread and no turn that started")
    return turn.thread_id


def _name_cell(trace: Trace, thread_id: str, runtime_cell_id: str, code_cell_id: str) -> None:
    known = trace.cells_by_runtime.setdefault((thread_id, runtime_cell_id), code_cell_id)
    if known != code_cell_id:
        raise ReductionError(f"runtime cell {runtime_cell_id} of thread {thread_id} is both {known} and {code_cell_id}")


def _source(trace: Trace, thread_id: str, started: CodeCellStarted) -> str | None:
    items = trace.call_items(thread_id, started.model_visible_call_id, "custom_tool_call")
    return items[0] if items else None


def _add(trace: Trace, event: Event, thread_id: str, started: CodeCellStarted, source: str) -> None:
    code_cell_id = cell_id_of(started.model_visible_call_id)
    if code_cell_id in trace.graph.code_cells:
        raise ReductionError(f"code cell {code_cell_id} starts a second time")
    if event.codex_turn_id is None:
        raise ReductionError(f"the start of code cell {code_cell_id} names no turn")
    trace.thread(thread_id)
    trace.check_turn(f"the start of code cell {code_cell_id}", thread_id, event.codex_turn_id)
    trace.graph.code_cells[code_cell_id] = _cell(trace, event, thread_id, started, source)
    trace.running_cells[event.codex_turn_id].add(code_cell_id)
    trace.touch("code_cells", code_cell_id)
    for item_id in trace.call_items(thread_id, started.model_visible_call_id, "custom_tool_call_output"):
        _produce(trace, code_cell_id, trace.graph.conversation_items[item_id])
    tool = trace.graph.tool_calls.get(trace.tool_by_call.get(started.model_visible_call_id, ""))
    if tool is not None:
        name_started_cell(trace, tool)
    trace.relink(started.model_visible_call_id)


def _cell(trace: Trace, event: Event, thread_id: str, started: CodeCellStarted, source: str) -> CodeCell:
    code_cell_id = cell_id_of(started.model_visible_call_id)
    return CodeCell(
        code_cell_id=code_cell_id,
        model_visible_call_id=started.model_visible_call_id,
        thread_id=thread_id,
        codex_turn_id=event.codex_turn_id or "",
        source_item_id=source,
        output_item_ids=[],
        runtime_cell_id=started.runtime_cell_id,
        execution=window(event.wall_time_unix_ms, event.seq),
        runtime_status="starting",
        initial_response_at_unix_ms=None,
        initial_response_seq=None,
        initial_response_status=None,
        raw_initial_response_payload_id=None,
        raw_result_payload_id=None,
        yielded_at_unix_ms=None,
        yielded_seq=None,
        source_js=started.source_js,
        nested_tool_call_ids=sorted(trace.cell_tools.get(code_cell_id, ())),
        wait_tool_call_ids=[],
    )


def _change(trace: Trace, event: Event, cell: CodeCell, change: CodeCellInitialResponse | CodeCellEnded) -> None:
    ref = change.response_payload
    if isinstance(change, CodeCellEnded):
        end_cell(trace, event, cell, change.status, ref)
        return
    cell.runtime_cell_id = change.runtime_cell_id
    _answer(event, cell, change.status, ref)
    if change.status == "yielded":
        cell.yielded_at_unix_ms, cell.yielded_seq = event.wall_time_unix_ms, event.seq
    cell.runtime_status = change.status
    trace.touch("code_cells", cell.code_cell_id)


def _answer(event: Event, cell: CodeCell, status: CodeCellStatus, ref: PayloadRef | None) -> None:
    """The first answer is kept, with its payload; it knows better than an end that came before it."""
    if cell.initial_response_status is not None:
        return
    cell.initial_response_at_unix_ms, cell.initial_response_seq = event.wall_time_unix_ms, event.seq
    cell.initial_response_status = status
    cell.raw_initial_response_payload_id = ref.raw_payload_id if ref is not None else None


def end_cell(trace: Trace, event: Event, cell: CodeCell, status: CodeCellStatus, ref: PayloadRef | None) -> None:
    """A cell ended, by its own event or with its turn."""
    if cell.initial_response_at_unix_ms is None:
        cell.initial_response_at_unix_ms, cell.initial_response_seq = event.wall_time_unix_ms, event.seq
    cell.execution.end(event.wall_time_unix_ms, event.seq, CELL_ENDS[status])
    cell.runtime_status = status
    cell.raw_result_payload_id = ref.raw_payload_id if ref is not None else None
    if cell.execution.status != "running":
        trace.running_cells[cell.codex_turn_id].discard(cell.code_cell_id)
    trace.touch("code_cells", cell.code_cell_id)


def end_cells_of_turn(trace: Trace, event: Event, codex_turn_id: str, status: ExecutionStatus) -> None:
    """A turn that fails or is given up takes its running cells with it; one that completes leaves them."""
    ends_as = TURN_ENDS.get(status)
    if ends_as is None:
        return
    for code_cell_id in sorted(trace.running_cells.get(codex_turn_id, ())):
        end_cell(trace, event, trace.graph.code_cells[code_cell_id], ends_as, None)


# --- tools and items around a cell ------------------------------------------------------------------------------------


def requester_of(trace: Trace, thread_id: str, requester: Requester) -> dict[str, str]:
    """Who asked for a tool, as the graph names it."""
    if not isinstance(requester, CodeCellRequester):
        return {"type": "model"}
    code_cell_id = trace.cells_by_runtime.get((thread_id, requester.runtime_cell_id))
    if code_cell_id is None:
        raise ReductionError(f"runtime cell {requester.runtime_cell_id} of thread {thread_id} is not known")
    return {"type": "code_cell", "code_cell_id": code_cell_id}


def nest_tool(trace: Trace, tool: ToolCall) -> None:
    """Links a tool to the cell that asked for it."""
    code_cell_id = tool.requester.get("code_cell_id")
    if code_cell_id is None:
        return
    trace.cell_tools[code_cell_id].append(tool.tool_call_id)
    cell = trace.graph.code_cells.get(code_cell_id)
    if cell is not None and push_unique(cell.nested_tool_call_ids, tool.tool_call_id):
        trace.touch("code_cells", code_cell_id)


def link_wait(trace: Trace, thread_id: str, tool_call_id: str, ref: PayloadRef | None) -> None:
    """Links a call of `wait` to the cell it waits for."""
    if ref is None:
        return
    value = trace.payload(ref)
    if get(value, "tool_name") != "wait":
        return
    where = f"the wait call in payload {ref.raw_payload_id}"
    arguments = get(get(value, "payload"), "arguments")
    if not isinstance(arguments, str):
        raise ReductionError(f"{where} has no arguments")
    try:
        runtime_cell_id = get(decode(arguments.encode()), "cell_id")
    except ValueError as error:
        raise ReductionError(f"{where} has arguments that are no JSON: {error}") from error
    if not isinstance(runtime_cell_id, str):
        raise ReductionError(f"{where} names no cell")
    cell = trace.graph.code_cells.get(trace.cells_by_runtime.get((thread_id, runtime_cell_id), ""))
    if cell is not None and push_unique(cell.wait_tool_call_ids, tool_call_id):
        trace.touch("code_cells", cell.code_cell_id)


def attach_cell_output(trace: Trace, item: ConversationItem) -> None:
    """Links the output item of a call to the cell that produced it."""
    if item.kind == "custom_tool_call_output" and item.call_id is not None:
        code_cell_id = cell_id_of(item.call_id)
        if code_cell_id in trace.graph.code_cells:
            _produce(trace, code_cell_id, item)


def _produce(trace: Trace, code_cell_id: str, item: ConversationItem) -> None:
    if push_unique(trace.graph.code_cells[code_cell_id].output_item_ids, item.item_id):
        trace.touch("code_cells", code_cell_id)
    producer = {"type": "code_cell", "code_cell_id": code_cell_id}
    if producer not in item.produced_by:
        item.produced_by.append(producer)
        trace.touch("conversation_items", item.item_id)


def name_started_cell(trace: Trace, tool: ToolCall) -> None:
    """Since schema 2 a call of `exec` names the cell it started, in its own thread and turn."""
    cell = trace.graph.code_cells.get(cell_id_of(tool.model_visible_call_id or ""))
    ours = (
        trace.schema >= 2
        and cell is not None
        and tool.kind == Other("exec")
        and (cell.thread_id, cell.codex_turn_id) == (tool.thread_id, tool.started_by_codex_turn_id)
    )
    name = cell.code_cell_id if ours and cell is not None else UNSET
    if tool.started_code_cell_id != name:
        tool.started_code_cell_id = name
        trace.touch("tool_calls", tool.tool_call_id)
