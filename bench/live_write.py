"""A folder and a rate flow in, sessions that grow there and the moment of each line flow out, in a process of its own.

`python -m bench.live_write FOLDER SESSIONS RATE SECONDS GROWN` writes the beginnings and says which rollouts they are,
waits for a line on standard input, writes `RATE` events a second into each of the first `GROWN` sessions, and says when
each event of the first one was on disk. Events are tools that start and end; one in fifty pairs is an inference.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from traces.bundle import events, shapes
from traces.bundle.manifest import LOG_NAME, PAYLOADS_NAME, Manifest
from traces.bundle.writer import BundleWriter

PROBE = "probe"  # probe-17 is the name of the 17th tool
INFERENCE_EVERY = 50
ASKED = {"type": "message", "id": "msg_0", "role": "user", "content": [{"type": "input_text", "text": "Work."}]}


class Growing:
    """One session; each call of `write` adds one event."""

    def __init__(self, into: Path) -> None:
        thread, trace = str(uuid.uuid4()), str(uuid.uuid4())
        started = time.time_ns() // 1_000_000
        manifest = Manifest(2, trace, thread, thread, started, LOG_NAME, PAYLOADS_NAME)
        self.writer = BundleWriter(into / f"trace-{trace}-{thread}", manifest)
        self.thread, self.turn, self.trace = thread, str(uuid.uuid4()), trace
        self.pairs, self.open = 0, ""
        self._begin()

    def _begin(self) -> None:
        self.writer.event(events.RolloutStarted(self.trace, self.thread))
        about = {"model": "gpt-5.5", "cwd": "/project", "agent_path": "/root"}
        metadata = self.writer.payload("session_metadata", about)
        self.writer.event(events.ThreadStarted(self.thread, "/root", metadata))
        self._event(events.CodexTurnStarted(self.turn, self.thread))
        self._event(events.HistoryItemAccepted("msg_0"))

    def write(self) -> str:
        """What the event is called: `+probe-17` begins something, `-probe-17` ends it."""
        if self.open:
            name, self.open = self.open, ""
            self._end(name)
            return f"-{name}"
        self.pairs += 1
        self.open = name = f"{PROBE}-{self.pairs}"
        self._start(name)
        return f"+{name}"

    def _start(self, name: str) -> None:
        if self.pairs % INFERENCE_EVERY == 0:
            request = self.writer.payload("inference_request", {"model": "gpt-5.5", "input": [ASKED]})
            self._event(events.InferenceStarted(name, self.thread, self.turn, "gpt-5.5", "scripted", request))
            return
        body = {"tool_name": name, "tool_namespace": None, "payload": {"type": "function", "arguments": "{}"}}
        invocation = self.writer.payload("tool_invocation", body)
        summary = shapes.GenericSummary(name, input_preview="{}")
        self._event(
            events.ToolCallStarted(
                name, shapes.ModelRequester(), shapes.Other(name), summary, name, invocation_payload=invocation
            )
        )

    def _end(self, name: str) -> None:
        if self.pairs % INFERENCE_EVERY == 0:
            body: dict[str, Any] = {"response_id": name, "upstream_request_id": name, "token_usage": None}
            response = self.writer.payload("inference_response", body | {"output_items": []})
            self._event(events.InferenceCompleted(name, response, name, name))
            return
        item = {"type": "function_call_output", "id": f"fco_{name}", "call_id": name, "output": f"{name} " * 40}
        result = self.writer.payload("tool_result", {"type": "direct_response", "response_item": item})
        self._event(events.ToolCallEnded(name, "completed", result))

    def _event(self, payload: events.EventPayload) -> None:
        self.writer.event(payload, thread_id=self.thread, codex_turn_id=self.turn)


def is_tool(name: str) -> bool:
    """Whether an event's name stands on the page: an inference is called by its number there."""
    return int(name.rpartition("-")[2]) % INFERENCE_EVERY != 0


def grow(sessions: list[Growing], rate: float, seconds: float) -> list[tuple[str, float]]:
    """Evenly in time, the sessions in turns; the events of the first one, each with the moment it was on disk."""
    said: list[tuple[str, float]] = []
    began, step = time.monotonic(), 1 / (rate * len(sessions))
    for number in range(round(rate * len(sessions) * seconds)):
        time.sleep(max(0.0, began + number * step - time.monotonic()))
        name = sessions[number % len(sessions)].write()
        if number % len(sessions) == 0:
            said.append((name, time.time()))
    return said


def main(folder: Path, count: int, rate: float, seconds: float, grown: int) -> None:
    """Begins, waits for the word, grows, tells."""
    sessions = [Growing(folder) for _ in range(count)]
    print(json.dumps([session.trace for session in sessions]), flush=True)
    sys.stdin.readline()
    print(json.dumps(grow(sessions[:grown], rate, seconds)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
