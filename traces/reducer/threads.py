"""Starts and ends of threads and turns flow in, the frame that everything else hangs in flows out."""

from __future__ import annotations

from typing import Any

from traces.bundle.events import CodexTurnEnded, CodexTurnStarted, Event, ThreadEnded, ThreadResumed, ThreadStarted
from traces.bundle.shapes import PayloadRef
from traces.reducer.agents import spawn_edge_id
from traces.reducer.code_cells import end_cells_of_turn
from traces.reducer.errors import ReductionError
from traces.reducer.graph import AgentThread, CodexTurn
from traces.reducer.inferences import end_calls_of_turn
from traces.reducer.payload_shapes import ThreadMetadata, payload_shape
from traces.reducer.serde import get, text_of
from traces.reducer.trace import Trace, window


def start_thread(trace: Trace, event: Event, started: ThreadStarted) -> None:
    """An agent begins; its metadata knows better than the event where it comes from."""
    thread_id = started.thread_id
    if thread_id in trace.graph.threads:
        raise ReductionError(f"thread {thread_id} starts a second time")
    metadata = _metadata(trace, started.metadata_payload)
    spawn = _spawn(metadata)
    paths = (text_of(spawn, "agent_path"), metadata.agent_path, started.agent_path)
    agent_path = next(path for path in paths if path is not None)
    trace.graph.threads[thread_id] = AgentThread(
        thread_id=thread_id,
        agent_path=agent_path,
        nickname=metadata.nickname,
        origin=_origin(thread_id, agent_path, metadata, spawn),
        execution=window(event.wall_time_unix_ms, event.seq),
        default_model=metadata.model,
        conversation_item_ids=[],
    )
    trace.touch("threads", thread_id)


def _metadata(trace: Trace, ref: PayloadRef | None) -> ThreadMetadata:
    if ref is None:
        return ThreadMetadata()
    what = f"the metadata of a thread in payload {ref.raw_payload_id} cannot be read"
    return payload_shape(trace.payload(ref), ThreadMetadata, what)


def _spawn(metadata: ThreadMetadata) -> Any:
    """What started the thread, if another agent did."""
    spawn = get(get(metadata.session_source, "subagent"), "thread_spawn")
    return spawn if text_of(spawn, "parent_thread_id") is not None else None


def _origin(thread_id: str, agent_path: str, metadata: ThreadMetadata, spawn: Any) -> dict[str, str]:
    if spawn is None:
        return {"type": "root"}
    parent = spawn["parent_thread_id"]
    task_name, role = text_of(spawn, "task_name"), text_of(spawn, "agent_role")
    if task_name is None:
        task_name = metadata.task_name
    if role is None:
        role = metadata.agent_role or ""
    return {
        "type": "spawned",
        "parent_thread_id": parent,
        "spawn_edge_id": spawn_edge_id(parent, thread_id),
        "task_name": _last_segment(agent_path) if task_name is None else task_name,
        "agent_role": role,
    }


def _last_segment(agent_path: str) -> str:
    return next((segment for segment in reversed(agent_path.split("/")) if segment), agent_path)


def end_thread(trace: Trace, event: Event, ended: ThreadEnded) -> None:
    """An agent ended; the rollout need not have."""
    trace.thread(ended.thread_id).execution.end(event.wall_time_unix_ms, event.seq, ended.status)
    trace.touch("threads", ended.thread_id)


def resume_thread(trace: Trace, _event: Event, resumed: ThreadResumed) -> None:
    """An agent that had ended goes on (schema 2)."""
    thread = trace.thread(resumed.thread_id)
    if thread.execution.ended_seq is None:
        raise ReductionError(f"thread {resumed.thread_id} is resumed, but it has not ended")
    execution = thread.execution
    execution.ended_at_unix_ms, execution.ended_seq, execution.status = None, None, "running"
    trace.touch("threads", resumed.thread_id)


def start_turn(trace: Trace, event: Event, started: CodexTurnStarted) -> None:
    """A thread becomes active."""
    if started.codex_turn_id in trace.graph.codex_turns:
        raise ReductionError(f"turn {started.codex_turn_id} starts a second time")
    trace.thread(started.thread_id)
    trace.graph.codex_turns[started.codex_turn_id] = CodexTurn(
        started.codex_turn_id, started.thread_id, window(event.wall_time_unix_ms, event.seq), []
    )
    trace.touch("codex_turns", started.codex_turn_id)


def end_turn(trace: Trace, event: Event, ended: CodexTurnEnded) -> None:
    """A thread comes to rest; what its turn left running ends with it."""
    turn = trace.graph.codex_turns.get(ended.codex_turn_id)
    if turn is None:
        raise ReductionError(f"the end of turn {ended.codex_turn_id}, which did not start")
    if event.thread_id is not None and event.thread_id != turn.thread_id:
        raise ReductionError(
            f"turn {ended.codex_turn_id} ends in thread {event.thread_id}, but it is of {turn.thread_id}"
        )
    turn.execution.end(event.wall_time_unix_ms, event.seq, ended.status)
    trace.touch("codex_turns", ended.codex_turn_id)
    end_cells_of_turn(trace, event, ended.codex_turn_id, ended.status)
    end_calls_of_turn(trace, event, ended.codex_turn_id, ended.status)
