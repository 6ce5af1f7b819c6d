"""What agents do to each other flows in, edges between threads flow out.

A message is sent before the thread that gets it shows it to its model. The edge waits until it can point at the very
item; only a spawn falls back to the thread itself when the log ends. Sender, recipient and text must agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET

from traces.bundle.events import AgentResultObserved, Event
from traces.bundle.shapes import AssignAgentTask, CloseAgent, Mcp, PayloadRef, SendMessage, SpawnAgent
from traces.reducer.errors import ReductionError
from traces.reducer.graph import ConversationItem, InteractionEdge, ToolCall
from traces.reducer.payload_shapes import (
    Activity,
    CloseBegin,
    CloseEnd,
    InteractionBegin,
    InteractionEnd,
    Letter,
    MessageArgs,
    SpawnEnd,
    check_status,
    payload_shape,
    refuse_repeated,
    shape,
    thread_id_of,
)
from traces.reducer.serde import decode, get
from traces.reducer.trace import Trace, WaitingEdge, push_unique

EDGE_KINDS: dict[type, tuple[str, str]] = {
    SpawnAgent: ("spawn_agent", "started"),
    AssignAgentTask: ("assign_agent_task", "interacted"),
    SendMessage: ("send_message", "interacted"),
    CloseAgent: ("close_agent", "interrupted"),
}
"""Kind of tool -> kind of edge, and the activity that belongs to it."""


def spawn_edge_id(parent_thread_id: str, child_thread_id: str) -> str:
    """The edge from a thread to one it started."""
    return f"edge:spawn:{parent_thread_id}:{child_thread_id}"


def _extend(ids: list[str], new: Iterable[str]) -> None:
    for one in new:
        push_unique(ids, one)


# --- tools that touch agents ------------------------------------------------------------------------------------------


def begin_interaction(trace: Trace, tool: ToolCall, ref: PayloadRef) -> None:
    """The runtime begins to say something to an agent, or to close it."""
    what = f"payload {ref.raw_payload_id} of tool call {tool.tool_call_id} cannot be read"
    if isinstance(tool.kind, (AssignAgentTask, SendMessage)):
        begin = payload_shape(trace.payload(ref), InteractionBegin, what)
        _say(trace, tool, thread_id_of(begin.receiver_thread_id), begin.prompt, None)
    elif isinstance(tool.kind, CloseAgent):
        close = payload_shape(trace.payload(ref), CloseBegin, what)
        _close(trace, tool, thread_id_of(close.receiver_thread_id), None)


def end_interaction(trace: Trace, event: Event, tool: ToolCall, ref: PayloadRef) -> None:
    """The runtime did something to an agent."""
    if trace.schema >= 2 and isinstance(tool.kind, Mcp):
        return
    value = trace.payload(ref)
    what = f"payload {ref.raw_payload_id} of tool call {tool.tool_call_id} cannot be read"
    at = event.wall_time_unix_ms
    if isinstance(value, dict) and "agent_thread_id" in value:
        _act(trace, tool, payload_shape(value, Activity, what), at)
    elif isinstance(tool.kind, SpawnAgent):
        _spawned(trace, tool, payload_shape(value, SpawnEnd, what), at)
    elif isinstance(tool.kind, (AssignAgentTask, SendMessage)):
        end = payload_shape(value, InteractionEnd, what)
        check_status(end.status)
        _say(trace, tool, thread_id_of(end.receiver_thread_id), end.prompt, at)
    elif isinstance(tool.kind, CloseAgent):
        close = payload_shape(value, CloseEnd, what)
        check_status(close.status)
        _close(trace, tool, thread_id_of(close.receiver_thread_id), at)


def _act(trace: Trace, tool: ToolCall, activity: Activity, at: int) -> None:
    if activity.kind == "completed":
        return
    _, expected = EDGE_KINDS.get(type(tool.kind), ("", ""))
    if activity.kind != expected:
        raise ReductionError(f"an agent {activity.kind}, but tool call {tool.tool_call_id} does something else")
    target = thread_id_of(activity.agent_thread_id)
    if isinstance(tool.kind, CloseAgent):
        _close(trace, tool, target, at)
        return
    content = _message_of(trace, tool)
    if isinstance(tool.kind, SpawnAgent):
        _queue(trace, _edge(trace, tool, spawn_edge_id(tool.thread_id, target), target, content, at, target))
    else:
        _say(trace, tool, target, content, at)


def _message_of(trace: Trace, tool: ToolCall) -> str:
    """What the call told the agent: the activity itself does not repeat it."""
    ref = trace.graph.raw_payloads.get(tool.raw_invocation_payload_id or "")
    arguments = get(get(trace.payload(ref), "payload"), "arguments") if ref is not None else None
    if not isinstance(arguments, str):
        raise ReductionError(f"tool call {tool.tool_call_id} has no arguments that tell what it said to the agent")
    try:
        refuse_repeated(arguments, MessageArgs)
        return shape(decode(arguments.encode()), MessageArgs).message
    except ValueError as error:
        raise ReductionError(f"the arguments of tool call {tool.tool_call_id} cannot be read: {error}") from error


def _spawned(trace: Trace, tool: ToolCall, end: SpawnEnd, at: int) -> None:
    check_status(end.status)
    if end.new_thread_id is None:
        return
    child = thread_id_of(end.new_thread_id)
    edge_id = spawn_edge_id(thread_id_of(end.sender_thread_id), child)
    _queue(trace, _edge(trace, tool, edge_id, child, end.prompt, at, child))


def _say(trace: Trace, tool: ToolCall, target: str, content: str, at: int | None) -> None:
    _queue(trace, _edge(trace, tool, f"edge:tool:{tool.tool_call_id}", target, content, at, None))


def _edge(
    trace: Trace, tool: ToolCall, edge_id: str, target: str, content: str, at: int | None, spawned: str | None
) -> WaitingEdge:
    return WaitingEdge(
        edge_id=edge_id,
        kind=EDGE_KINDS[type(tool.kind)][0],
        source={"type": "tool_call", "tool_call_id": tool.tool_call_id},
        author=trace.thread(tool.thread_id).agent_path,
        target_thread_id=target,
        content=content,
        spawned_thread_id=spawned,
        started_at_unix_ms=tool.execution.started_at_unix_ms,
        ended_at_unix_ms=at,
        carried_raw_payload_ids=_payloads(tool),
    )


def _payloads(tool: ToolCall) -> list[str]:
    found: list[str] = []
    _extend(found, filter(None, [tool.raw_invocation_payload_id]))
    _extend(found, tool.raw_runtime_payload_ids)
    _extend(found, filter(None, [tool.raw_result_payload_id]))
    return found


def _close(trace: Trace, tool: ToolCall, target: str, at: int | None) -> None:
    if target not in trace.graph.threads:
        return
    edge = _edge(trace, tool, f"edge:tool:{tool.tool_call_id}", target, "", at, None)
    _upsert(trace, edge, {"type": "thread", "thread_id": target}, [])


def carry_result(trace: Trace, tool: ToolCall, ref: PayloadRef | None) -> None:
    """Adds a tool's result to the edge it made, or will make."""
    if ref is None:
        return
    edge_ids = trace.edges_by_tool.get(tool.tool_call_id)
    if edge_ids:
        edge = trace.graph.interaction_edges[min(edge_ids)]
        if push_unique(edge.carried_raw_payload_ids, ref.raw_payload_id):
            trace.touch("interaction_edges", edge.edge_id)
        return
    for waiting in trace.waiting_edges:
        if waiting.source.get("tool_call_id") == tool.tool_call_id:
            push_unique(waiting.carried_raw_payload_ids, ref.raw_payload_id)
            return


def report_result(trace: Trace, event: Event, result: AgentResultObserved) -> None:
    """An agent's answer goes to its parent."""
    child = trace.graph.threads.get(result.child_thread_id)
    if child is None:
        raise ReductionError(f"the result comes from thread {result.child_thread_id}, which did not start")
    at, carried = event.wall_time_unix_ms, result.carried_payload
    _queue(
        trace,
        WaitingEdge(
            edge_id=result.edge_id,
            kind="agent_result",
            source=_answer_of(trace, result),
            author=child.agent_path,
            target_thread_id=result.parent_thread_id,
            content=result.message,
            spawned_thread_id=None,
            started_at_unix_ms=at,
            ended_at_unix_ms=at,
            carried_raw_payload_ids=[carried.raw_payload_id] if carried is not None else [],
        ),
    )


def _answer_of(trace: Trace, result: AgentResultObserved) -> dict[str, str]:
    """The agent's last message in its turn; an agent that failed may have none."""
    said = trace.assistant_messages.get((result.child_thread_id, result.child_codex_turn_id))
    if not said:
        return {"type": "thread", "thread_id": result.child_thread_id}
    items = trace.graph.conversation_items
    last = max(said, key=lambda item_id: (items[item_id].first_seen_at_unix_ms, item_id))
    return {"type": "conversation_item", "item_id": last}


# --- edges and the items they lead to ---------------------------------------------------------------------------------


def _queue(trace: Trace, edge: WaitingEdge) -> None:
    """Leads an edge to the item that shows its message, or lets it wait for it."""
    item_id = _unread(trace, edge)
    if item_id is not None:
        _lead(trace, edge, item_id)
        return
    for waiting in trace.waiting_edges:
        if waiting.edge_id == edge.edge_id:
            _join(waiting, edge)
            return
    trace.waiting_edges.append(edge)


def _unread(trace: Trace, edge: WaitingEdge) -> str | None:
    thread = trace.graph.threads.get(edge.target_thread_id)
    for item_id in thread.conversation_item_ids if thread is not None else ():
        item = trace.graph.conversation_items[item_id]
        if item.role == "assistant" and item_id not in trace.edge_targets and _is_for(trace, item, edge):
            return item_id
    return None


def _join(waiting: WaitingEdge, edge: WaitingEdge) -> None:
    same = ("kind", "source", "author", "target_thread_id", "content", "spawned_thread_id")
    if any(getattr(waiting, field) != getattr(edge, field) for field in same):
        raise ReductionError(f"edge {edge.edge_id} is seen again with something else")
    _stretch(waiting, edge)


def _stretch(known: WaitingEdge | InteractionEdge, edge: WaitingEdge) -> None:
    known.started_at_unix_ms = min(known.started_at_unix_ms, edge.started_at_unix_ms)
    ends = [end for end in (known.ended_at_unix_ms, edge.ended_at_unix_ms) if end is not None]
    known.ended_at_unix_ms = max(ends) if ends else None
    _extend(known.carried_raw_payload_ids, edge.carried_raw_payload_ids)


def deliver(trace: Trace, item_id: str) -> None:
    """Leads the first edge that waits for this item to it."""
    if not trace.waiting_edges or item_id in trace.edge_targets:
        return
    item = trace.graph.conversation_items[item_id]
    for edge in trace.waiting_edges:
        if edge.target_thread_id == item.thread_id and _is_for(trace, item, edge):
            trace.waiting_edges.remove(edge)
            _lead(trace, edge, item_id)
            return


def _lead(trace: Trace, edge: WaitingEdge, item_id: str) -> None:
    _upsert(trace, edge, {"type": "conversation_item", "item_id": item_id}, [item_id])
    trace.edge_targets.add(item_id)


def finish_edges(trace: Trace) -> None:
    """At the end of the log a spawn whose task was never seen leads to the thread it started."""
    for edge in trace.waiting_edges:
        if edge.spawned_thread_id is not None and edge.spawned_thread_id in trace.graph.threads:
            _upsert(trace, edge, {"type": "thread", "thread_id": edge.spawned_thread_id}, [])
    trace.waiting_edges.clear()


def _upsert(trace: Trace, edge: WaitingEdge, target: dict[str, str], item_ids: list[str]) -> None:
    trace.touch("interaction_edges", edge.edge_id)
    known = trace.graph.interaction_edges.get(edge.edge_id)
    if known is None:
        trace.graph.interaction_edges[edge.edge_id] = InteractionEdge(
            edge.edge_id, edge.kind, edge.source, target, edge.started_at_unix_ms, edge.ended_at_unix_ms, item_ids,
            list(edge.carried_raw_payload_ids),
        )  # fmt: skip
        if "tool_call_id" in edge.source:
            trace.edges_by_tool[edge.source["tool_call_id"]].add(edge.edge_id)
        return
    if (known.kind, known.source, known.target) != (edge.kind, edge.source, target):
        raise ReductionError(f"edge {edge.edge_id} is seen again between other ends")
    _stretch(known, edge)
    _extend(known.carried_item_ids, item_ids)


# --- messages between agents ------------------------------------------------------------------------------------------


class _Said(msgspec.Struct, frozen=True):
    author: str
    recipient: str
    content: str


def _is_for(trace: Trace, item: ConversationItem, edge: WaitingEdge) -> bool:
    said = _said(item)
    if said is None or said.author != edge.author or said.content != edge.content:
        return False
    return said.recipient == trace.thread(item.thread_id).agent_path


def _said(item: ConversationItem) -> _Said | None:
    """Who says what to whom, if the item is a message between agents."""
    if item.role != "assistant" or item.kind != "message":
        return None
    if item.agent_message is UNSET:
        return _letter(item)
    parts = item.body.parts
    kinds = [part["type"] for part in parts]
    if kinds not in (["text"], ["encoded"], ["text", "encoded"]):
        return None
    content = parts[-1].get("text") or parts[-1].get("value") or ""
    return _Said(item.agent_message.author, item.agent_message.recipient, content)


def _letter(item: ConversationItem) -> _Said | None:
    parts = item.body.parts
    if len(parts) != 1 or parts[0]["type"] != "text" or not parts[0]["text"].lstrip().startswith("{"):
        return None
    try:
        letter = shape(decode(parts[0]["text"].encode()), Letter)
    except ValueError:
        return None
    content: Any = letter.encrypted_content
    return _Said(letter.author, letter.recipient, letter.content if content is None else content)
