"""The shape of a session flows in, its bundle flows out: `python -m bench.sessions FOLDER --inferences N`.

The session is one agent at work on a repository: turns of about ten inferences, most of which call a tool. Each request
repeats the whole history, so a bundle grows with the square of its inferences, until a compaction cuts the history.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random
from typing import Any, Literal

import msgspec

from bench.items import Items, Json
from bench.shape import Shape, parse
from bench.texts import Texts
from traces.bundle import events, shapes
from traces.bundle.manifest import LOG_NAME, PAYLOADS_NAME, Manifest
from traces.bundle.writer import BundleWriter

STARTED = 1_790_000_000_000
STEPS = (4, 16)  # inferences of a turn
MODEL, PROVIDER = "gpt-5.5", "scripted"

Outcome = Literal["failed", "cancelled", "left", "completed"]
OUTCOMES: tuple[Outcome, ...] = ("failed", "cancelled", "left", "completed")
WEIGHTS = (5.0, 5.0, 1.5, 88.5)


class Session:
    """Writes one session; `history` is what the next request carries."""

    def __init__(self, writer: BundleWriter, shape: Shape) -> None:
        self.writer = writer
        self.shape = shape
        self.random = Random(f"{shape.seed} {shape.inferences} {shape.mean}")
        self.texts = Texts(self.random, shape.mean)
        self.items = Items(self.texts, shape.schema)
        self.thread_id = writer.manifest.root_thread_id
        self.turn_id: str | None = None
        self.history: list[msgspec.Raw] = []
        self.frame = _frame(self.texts)
        self.clock = STARTED
        self.inferences = self.turns = self.compactions = 0

    def write(self) -> None:
        """The whole session, from its first event to its last."""
        self._begin()
        while self.inferences < self.shape.inferences:
            self._turn()
        self._event(events.ThreadEnded(self.thread_id, "completed"))
        self._event(events.RolloutEnded("completed"))
        if self.shape.schema == 2:
            self._event(events.RecordingCompleted())

    # --- the session and its turns ---

    def _begin(self) -> None:
        self._event(events.RolloutStarted(self.writer.manifest.trace_id, self.thread_id))
        about = {"thread_id": self.thread_id, "agent_path": "/root", "model": MODEL, "provider_name": PROVIDER}
        metadata = self.writer.payload("session_metadata", {**about, "session_source": "exec", "cwd": "/project"})
        self._event(events.ThreadStarted(self.thread_id, "/root", metadata))
        self._observe("session_configured", session_id=self.thread_id)

    def _turn(self) -> None:
        self.turns += 1
        self.turn_id = _uuid(2, self.turns)
        self._event(events.CodexTurnStarted(self.turn_id, self.thread_id))
        self._observe("task_started", turn_id=self.turn_id)
        if self.turns == 1:
            self._accept(self.items.message("developer", self.texts.prose(3000)))
            self._accept(self.items.message("user", self.texts.prose(1500)))
        self._accept(self.items.message("user", self.texts.prose(self.texts.size(0.5))))
        status = self._work(self.random.randint(*STEPS))
        self._event(events.CodexTurnEnded(self.turn_id, status))
        self._observe("task_complete", turn_id=self.turn_id)
        self.turn_id = None

    def _work(self, steps: int) -> shapes.ExecutionStatus:
        """Inferences until one answers instead of calling a tool, or the user stops the turn."""
        for step in range(1, steps + 1):
            if self.inferences == self.shape.inferences:
                break
            if 0 < self.shape.compact_above < len(self.history):
                self._compact()
            outcome = self.random.choices(OUTCOMES, WEIGHTS)[0]
            self._inference(outcome, last=step == steps)
            if outcome in {"cancelled", "left"}:
                return "cancelled"
        return "completed"

    def _compact(self) -> None:
        self.compactions += 1
        kept = [*self.history[:2], _raw(self.items.compaction())]
        checkpoint = {"input_history": self.history, "replacement_history": kept}
        ref = self.writer.payload("compaction_checkpoint", checkpoint)
        self._event(events.CompactionInstalled(f"compaction:{self.compactions}", ref))
        self.history = kept

    # --- an inference and how it ends ---

    def _inference(self, outcome: Outcome, last: bool) -> None:
        self.inferences += 1
        call = _uuid(3, self.inferences) if self.shape.schema == 2 else f"inference:{self.inferences}"
        request = self.writer.payload("inference_request", {**self.frame, "input": self.history, **_OPTIONS})
        self._event(
            events.InferenceStarted(call, self.thread_id, self.turn_id or "", MODEL, PROVIDER, request_payload=request)
        )
        match outcome:
            case "failed":
                self._event(events.InferenceFailed(call, "stream disconnected before completion"))
            case "cancelled":
                self._cancel(call)
            case "completed":
                self._complete(call, last)
            case "left":
                pass  # nothing is recorded; the end of the turn closes it

    def _cancel(self, call: str) -> None:
        """The user stopped the turn after the first item was complete."""
        thought = self.items.reasoning()
        request_id, partial = self._response([self._seen(thought)], ended=False)
        cancelled = events.InferenceCancelled(
            call, "turn interrupted", upstream_request_id=request_id, partial_response_payload=partial
        )
        self._event(cancelled)
        self._accept(thought)
        self._accept(self.items.message("user", f"<turn_aborted>\nstopped at {self.inferences}\n</turn_aborted>"))

    def _complete(self, call: str, last: bool) -> None:
        thought = self.items.reasoning()
        answer = self._answer() if last else self._call()
        request_id, response = self._response([self._seen(thought), answer], ended=True)
        completed = events.InferenceCompleted(
            call, response, response_id=f"resp_{self.inferences:06}", upstream_request_id=request_id
        )
        self._event(completed)
        self._accept(thought)
        self._accept(answer)
        if not last:
            self._run(answer)

    def _answer(self) -> Json:
        return self.items.message("assistant", self.texts.prose(self.texts.size()))

    def _call(self) -> Json:
        """Most tools run a command, the others do their work without a terminal."""
        return self.items.command() if self.random.random() < 0.85 else self.items.plan()

    def _seen(self, thought: Json) -> Json:
        """Some thoughts are shown in the response and never sent back."""
        if self.random.random() < 0.7:
            return thought
        shown = [{"type": "reasoning_text", "text": self.texts.prose(self.texts.size(0.3))}]
        return {**thought, "content": shown}

    def _response(self, items: list[Json], ended: bool) -> tuple[str, shapes.PayloadRef]:
        number = self.inferences
        request_id = f"req_{number:06}"
        body = {
            "response_id": f"resp_{number:06}" if ended else None,
            "upstream_request_id": request_id,
            "token_usage": _usage(number, self.shape.schema) if ended else None,
            "output_items": items,
        }
        return request_id, self.writer.payload("inference_response", body)

    # --- tools ---

    def _run(self, call: Json) -> None:
        """A tool from its start to its result, which the next request carries."""
        call_id, name, arguments = call["call_id"], call["name"], call["arguments"]
        in_terminal = name == "exec_command"
        invocation = {"tool_name": name, "tool_namespace": None}
        invocation |= {"payload": {"type": "function", "arguments": arguments}}
        started = events.ToolCallStarted(
            call_id,
            shapes.ModelRequester(),
            shapes.ExecCommand() if in_terminal else shapes.Other(name),
            shapes.GenericSummary(name, input_preview=arguments[:160]),
            model_visible_call_id=call_id,
            invocation_payload=self.writer.payload("tool_invocation", invocation),
        )
        self._event(started)
        output = self.texts.prose(self.texts.size(1.3))
        if in_terminal:
            self._terminal(call_id, arguments, output)
        result = self.items.output(call_id, output)
        direct = self.writer.payload("tool_result", {"type": "direct_response", "response_item": result})
        self._event(events.ToolCallEnded(call_id, "completed", direct))
        self._accept(result)

    def _terminal(self, call_id: str, arguments: str, output: str) -> None:
        source = arguments[:300]
        command = {
            "call_id": call_id,
            "process_id": str(20_000 + self.inferences),
            "turn_id": self.turn_id,
            "command": ["/bin/bash", "-lc", source],
            "cwd": "/project",
            "parsed_cmd": [{"type": "unknown", "cmd": source}],
            "source": "unified_exec_startup",
        }
        started = self.writer.payload("tool_runtime_event", {**command, "started_at_ms": self.clock})
        kind = {"type": "exec_command"} if self.shape.schema == 2 else None
        self._event(events.ToolCallRuntimeStarted(call_id, started, kind))
        ending = {**command, "completed_at_ms": self.clock, **_terminal_output(output, self.shape.schema)}
        ended = self.writer.payload("tool_runtime_event", ending)
        self._event(events.ToolCallRuntimeEnded(call_id, "completed", ended))

    # --- the log and the history ---

    def _accept(self, item: Json) -> None:
        self.history.append(_raw(item))
        if self.shape.schema == 2:
            self._event(events.HistoryItemAccepted(item["id"]))

    def _observe(self, name: str, **fields: str | None) -> None:
        body = self.writer.payload("protocol_event", {"type": name, **fields})
        self._event(events.ProtocolEventObserved(name, body))

    def _event(self, payload: events.EventPayload) -> None:
        self.clock += self.random.randint(1, 60)
        thread = self.thread_id if self.turn_id else None
        self.writer.event(payload, thread_id=thread, codex_turn_id=self.turn_id, wall_time_unix_ms=self.clock)


def _raw(item: Json) -> msgspec.Raw:
    """An item is encoded once, however many requests repeat it."""
    return msgspec.Raw(msgspec.json.encode(item))


def _uuid(kind: int, number: int) -> str:
    return f"019a20c4-{kind:04x}-7000-8000-{number:012x}"


_OPTIONS: Json = {
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "high", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
}


def _frame(texts: Texts) -> Json:
    """What stands around the history in every request: instructions of some kilobytes and a dozen tools."""
    tools = [_tool(texts, number) for number in range(12)]
    return {"model": MODEL, "instructions": texts.prose(9000), "input": [], "tools": tools}


def _tool(texts: Texts, number: int) -> Json:
    fields = {f"field_{n}": {"type": "string", "description": texts.prose(60)} for n in range(4)}
    parameters = {"type": "object", "properties": fields, "required": ["field_0"], "additionalProperties": False}
    about = {"type": "function", "name": f"tool_{number}", "description": texts.prose(500), "strict": False}
    return {**about, "parameters": parameters}


def _usage(number: int, schema: int) -> dict[str, int]:
    written = {"cache_write_input_tokens": 0} if schema == 2 else {}
    read = {"input_tokens": 1000 + number, "cached_input_tokens": 100, **written}
    return {**read, "output_tokens": 50, "reasoning_output_tokens": 10, "total_tokens": 1050 + number}


def _terminal_output(output: str, schema: int) -> Json:
    """Schema 1 says the output three times, schema 2 once."""
    repeated = {"stdout": output, "stderr": "", "formatted_output": output} if schema == 1 else {}
    ended = {"exit_code": 0, "duration": {"secs": 0, "nanos": 51_402_251}, "status": "completed"}
    return {**repeated, "aggregated_output": output, **ended}


def write_session(folder: Path, shape: Shape) -> dict[str, Any]:
    """Writes a session into a new folder and says how large it became."""
    thread = _uuid(1, shape.seed)
    manifest = Manifest(shape.schema, _uuid(0, shape.seed), thread, thread, STARTED, LOG_NAME, PAYLOADS_NAME)
    with BundleWriter(folder, manifest) as writer:
        session = Session(writer, shape)
        session.write()
    counts = {name: getattr(session, name) for name in ("inferences", "turns", "compactions")}
    return {**counts, "items": len(session.history), "bytes": _size(folder)}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    json.dump(write_session(*parse()), sys.stdout)
