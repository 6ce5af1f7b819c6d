"""Calls that read like a session flow in, the reduction of its recording flows out, event by event.

Every event goes through its line of JSON, as in a bundle on disk; a test sees at once which event is refused.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from traces.bundle.errors import BundleError
from traces.bundle.events import decode_event
from traces.bundle.manifest import Manifest
from traces.bundle.shapes import PayloadRef
from traces.reducer import Changes, Evidence, Reducer
from traces.tests.reducer.items import Item

ROOT = "11111111-1111-7111-8111-111111111111"
CHILD = "22222222-2222-7222-8222-222222222222"
THIRD = "33333333-3333-7333-8333-333333333333"
HERE = "here"  # the thread, or turn, that the session is at
GENERIC = {"type": "generic", "label": "tool", "input_preview": None, "output_preview": None}


class Session:
    """A recording in memory, and its reduction so far. Each method but the last few records one event."""

    def __init__(self, schema: int = 2) -> None:
        self.schema = schema
        self.manifest = Manifest(schema, "trace", ROOT, ROOT, 1000, "trace.jsonl", "payloads")
        self.reducer = Reducer(self.manifest, self._read)
        self.lines: list[bytes] = []
        self.payloads: dict[str, bytes] = {}
        self.at: tuple[str | None, str | None] = (ROOT, None)
        self.encode: Callable[[Any], bytes] = encode

    def _read(self, ref: PayloadRef) -> bytes:
        if ref.path not in self.payloads:
            raise BundleError(f"{ref.path} is missing")
        return self.payloads[ref.path]

    @property
    def seq(self) -> int:
        """The place of the last event."""
        return len(self.lines)

    # --- any event ----------------------------------------------------------------------------------------------------

    def payload(self, value: Any, kind: str = "protocol_event") -> dict[str, Any]:
        """A reference to a new payload. Bytes are kept as they are; `...` stands for a file that is missing."""
        number = len(self.payloads) + 1
        path = f"payloads/{number}.json"
        if value is ...:
            path = f"payloads/missing-{number}.json"
        else:
            self.payloads[path] = value if isinstance(value, bytes) else self.encode(value)
        return {"raw_payload_id": f"raw_payload:{number}", "kind": {"type": kind}, "path": path}

    def event(
        self,
        event_type: str,
        /,
        *,
        thread: str | None = HERE,
        turn: str | None = HERE,
        envelope: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Changes:
        """Records an event and applies it."""
        line = {
            "schema_version": self.schema,
            "seq": self.seq + 1,
            "wall_time_unix_ms": 1000 + 10 * (self.seq + 1),
            "rollout_id": ROOT,
            "thread_id": self.at[0] if thread == HERE else thread,
            "codex_turn_id": self.at[1] if turn == HERE else turn,
            "payload": {"type": event_type, **fields},
        }
        self.lines.append(encode({**line, **(envelope or {})}))
        return self.reducer.apply(decode_event(self.lines[-1]), self.seq)

    # --- the frame ----------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """A rollout with its root thread."""
        self.event("rollout_started", thread=None, turn=None, trace_id="trace", root_thread_id=ROOT)
        self.thread(ROOT, "/root")
        return self

    def thread(self, thread_id: str, path: str = "/root", metadata: Any = None) -> Changes:
        ref = None if metadata is None else self.payload(metadata, "session_metadata")
        self.at = (thread_id, None)
        return self.event("thread_started", thread_id=thread_id, agent_path=path, metadata_payload=ref)

    def child(self, thread_id: str = CHILD, path: str = "/root/kid", **spawn: Any) -> Changes:
        """A thread that the root's agent started."""
        spawn = {"parent_thread_id": ROOT, "depth": 1, "agent_path": path, "agent_role": "worker", **spawn}
        source = {"subagent": {"thread_spawn": spawn}}
        return self.thread(thread_id, path, {"nickname": "Kid", "model": "m", "session_source": source})

    def turn(self, turn_id: str = "T1", thread: str | None = None) -> Changes:
        self.at = (thread or self.at[0], turn_id)
        return self.event("codex_turn_started", codex_turn_id=turn_id, thread_id=self.at[0])

    def end_turn(self, status: str = "completed", **fields: Any) -> Changes:
        return self.event("codex_turn_ended", **{"codex_turn_id": self.at[1], "status": status, **fields})

    def end(self) -> Changes:
        """The whole recording is over."""
        self.event("thread_ended", thread=None, turn=None, thread_id=ROOT, status="completed")
        changes = self.event("rollout_ended", thread=None, turn=None, status="completed")
        return changes if self.schema == 1 else self.event("recording_completed", thread=None, turn=None)

    # --- inference calls ----------------------------------------------------------------------------------------------

    def ask(self, call_id: str, *items: Item, **body: Any) -> Changes:
        return self.ask_with(call_id, {"model": "m", "input": list(items), **body})

    def ask_with(self, call_id: str, request: Any, **fields: Any) -> Changes:
        ref = self.payload(request, "inference_request")
        started = {"thread_id": self.at[0], "codex_turn_id": self.at[1], "model": "m", "provider_name": "p"}
        return self.event(
            "inference_started", inference_call_id=call_id, **{**started, "request_payload": ref, **fields}
        )

    def complete(self, call_id: str, *items: Item, response_id: str | None = None, usage: Any = None) -> Changes:
        response_id = response_id or f"resp_{call_id}"
        return self.event(
            "inference_completed",
            inference_call_id=call_id,
            response_id=response_id,
            upstream_request_id=f"req_{call_id}",
            response_payload=self.payload(response(items, usage), "inference_response"),
        )

    def fail(self, call_id: str, error: str, *items: Item) -> Changes:
        return self._break("inference_failed", call_id, items, error=error)

    def cancel(self, call_id: str, reason: str, *items: Item) -> Changes:
        return self._break("inference_cancelled", call_id, items, reason=reason)

    def _break(self, event_type: str, call_id: str, items: tuple[Item, ...], **why: Any) -> Changes:
        ref = self.payload(response(items), "inference_response") if items else None
        ids: dict[str, Any] = {"inference_call_id": call_id, "upstream_request_id": f"req_{call_id}"}
        return self.event(event_type, **ids, **why, partial_response_payload=ref)

    def accept(self, item_id: str, letter: Item | None = None, **where: Any) -> Changes:
        """A receipt of an item (schema 2)."""
        ref: dict[str, Any] = {} if letter is None else {"agent_message_payload": self.payload(letter)}
        return self.event("history_item_accepted", item_id=item_id, **ref, **where)

    # --- tools --------------------------------------------------------------------------------------------------------

    def tool(
        self, tool_id: str, kind: str | dict[str, Any] = "exec_command", *, invocation: Any = None, **fields: Any
    ) -> Changes:
        """A call of the model's; where nothing else is said, its call id is the tool's."""
        started: dict[str, Any] = {
            "model_visible_call_id": tool_id,
            "requester": {"type": "model"},
            "kind": {"type": kind} if isinstance(kind, str) else kind,
            "summary": GENERIC,
            "invocation_payload": None if invocation is None else self.payload(invocation, "tool_invocation"),
        }
        where = {name: fields.pop(name) for name in ("thread", "turn") if name in fields}
        return self.event("tool_call_started", tool_call_id=tool_id, **where, **{**started, **fields})

    def begin(self, tool_id: str, value: Any, kind: dict[str, Any] | None = None) -> Changes:
        """The runtime starts a tool; since schema 2 it says of which kind it is."""
        fields: dict[str, Any] = (
            {"kind": kind or self.object("tool_calls", tool_id)["kind"]} if self.schema >= 2 else {}
        )
        ref = self.payload(value, "tool_runtime_event")
        return self.event("tool_call_runtime_started", tool_call_id=tool_id, runtime_payload=ref, **fields)

    def finish_run(self, tool_id: str, value: Any, status: str = "completed") -> Changes:
        ref = self.payload(value, "tool_runtime_event")
        return self.event("tool_call_runtime_ended", tool_call_id=tool_id, status=status, runtime_payload=ref)

    def end_tool(self, tool_id: str, value: Any = None, status: str = "completed") -> Changes:
        ref = None if value is None else self.payload(value, "tool_result")
        return self.event("tool_call_ended", tool_call_id=tool_id, status=status, result_payload=ref)

    # --- code cells and compactions -----------------------------------------------------------------------------------

    def cell(self, runtime_id: str, call_id: str, source: str = "1", **where: Any) -> Changes:
        cell: dict[str, Any] = {"runtime_cell_id": runtime_id, "model_visible_call_id": call_id, "source_js": source}
        return self.event("code_cell_started", **cell, **where)

    def answer_cell(self, runtime_id: str, status: str, value: Any = None) -> Changes:
        return self._cell("code_cell_initial_response", runtime_id, status, value)

    def end_cell(self, runtime_id: str, status: str = "completed", value: Any = None) -> Changes:
        return self._cell("code_cell_ended", runtime_id, status, value)

    def _cell(self, event_type: str, runtime_id: str, status: str, value: Any) -> Changes:
        ref = None if value is None else self.payload(value, "tool_result")
        return self.event(event_type, runtime_cell_id=runtime_id, status=status, response_payload=ref)

    def shorten(self, compaction_id: str, request_id: str) -> Changes:
        """A history is sent away to be shortened."""
        ids: dict[str, Any] = {"compaction_id": compaction_id, "compaction_request_id": request_id}
        where: dict[str, Any] = {
            "thread_id": self.at[0],
            "codex_turn_id": self.at[1],
            "model": "m",
            "provider_name": "p",
        }
        ref = self.payload({"input": []}, "compaction_request")
        return self.event("compaction_request_started", **ids, **where, request_payload=ref)

    def install(self, compaction_id: str, before: list[Item], after: list[Item], **where: Any) -> Changes:
        histories = {"input_history": before, "replacement_history": after}
        ref = self.payload(histories, "compaction_checkpoint")
        return self.event("compaction_installed", compaction_id=compaction_id, checkpoint_payload=ref, **where)

    # --- what came of it ----------------------------------------------------------------------------------------------

    def object(self, section: Any, object_id: str) -> dict[str, Any]:
        """One object as it is now."""
        return self.reducer.object(section, object_id)

    def inference(self, call_id: str) -> dict[str, Any]:
        return self.object("inference_calls", call_id)

    def evidence(self, call_id: str) -> Evidence:
        return self.reducer.evidence[call_id]

    def items(self, *numbers: int) -> list[dict[str, Any]]:
        """Conversation items by their numbers, all of them where none is given."""
        known = range(1, len(self.reducer.graph.conversation_items) + 1)
        return [self.object("conversation_items", f"conversation_item:{number}") for number in numbers or known]

    def asked(self, call_id: str) -> list[int]:
        """The numbers of the items in a request."""
        return numbers(self.inference(call_id)["request_item_ids"])

    def answered(self, call_id: str) -> list[int]:
        """The numbers of the items in a response."""
        return numbers(self.inference(call_id)["response_item_ids"])

    def history(self, thread_id: str = ROOT) -> list[int]:
        """The numbers of the items in a thread's conversation."""
        return numbers(self.object("threads", thread_id)["conversation_item_ids"])

    def write(self, folder: Path) -> Path:
        """The recording as a bundle on disk."""
        (folder / "payloads").mkdir(parents=True)
        manifest = {name: getattr(self.manifest, name) for name in self.manifest.__struct_fields__}
        (folder / "manifest.json").write_bytes(encode(manifest))
        (folder / "trace.jsonl").write_bytes(b"".join(line + b"\n" for line in self.lines))
        for path, data in self.payloads.items():
            (folder / path).write_bytes(data)
        return folder


def response(items: tuple[Item, ...], usage: Any = None) -> dict[str, Any]:
    return {"token_usage": usage, "output_items": list(items)}


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def numbers(item_ids: list[str]) -> list[int]:
    return [int(item_id.removeprefix("conversation_item:")) for item_id in item_ids]
