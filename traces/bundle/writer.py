"""Payloads and events of a program flow in, a bundle that the published client reduces flows out."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from traces.bundle import events
from traces.bundle.errors import BundleError, reason
from traces.bundle.events import Event, EventPayload, decode_event
from traces.bundle.manifest import LOG_NAME, MANIFEST_NAME, PAYLOADS_NAME, Manifest, write_manifest
from traces.bundle.shapes import PayloadKind, PayloadKindName, PayloadRef

# Where the client writes fields in another order than our structs have them.
_ORDER: dict[type, tuple[str, ...]] = {
    events.InferenceCompleted: ("inference_call_id", "response_id", "upstream_request_id", "response_payload"),
    events.InferenceFailed: ("inference_call_id", "upstream_request_id", "error", "partial_response_payload"),
    events.InferenceCancelled: ("inference_call_id", "upstream_request_id", "reason", "partial_response_payload"),
    events.ToolCallStarted: ("tool_call_id", "model_visible_call_id", "code_mode_runtime_tool_id", "requester"),
    events.ToolCallRuntimeStarted: ("tool_call_id", "kind", "runtime_payload"),
}


class BundleWriter:
    """Writes one recording into a folder, as it happens; any thread may call it.

    An event is on disk, in one piece, when `event` returns; a payload is complete when `payload` returns.
    """

    def __init__(self, folder: Path | str, manifest: Manifest) -> None:
        self.folder = Path(folder)
        self.manifest = manifest
        self._lock = threading.Lock()
        self._seq = 0
        self._payloads = 0
        try:
            self._log = self._begin()
        except OSError as error:
            raise BundleError(f"a recording cannot begin here: {reason(error)}", where=self.folder.name) from error

    def _begin(self) -> int:
        (self.folder / PAYLOADS_NAME).mkdir(parents=True, exist_ok=True)
        # "x" and O_EXCL: a recording that lies here already is never written over.
        with open(self.folder / MANIFEST_NAME, "xb") as file:
            file.write(write_manifest(self.manifest))
        return os.open(self.folder / LOG_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def __enter__(self) -> BundleWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the recording; calling it again does nothing."""
        with self._lock:
            if self._log >= 0:
                os.close(self._log)
            self._log = -1

    def payload(self, kind: PayloadKindName, value: Any) -> PayloadRef:
        """Writes a body to a file of its own and returns what an event names it by."""
        data = _json(value)
        with self._lock:
            self._payloads += 1
            number = self._payloads
        path = f"{PAYLOADS_NAME}/{number}.json"
        try:
            with open(self.folder / path, "xb") as file:
                file.write(data)
        except OSError as error:
            raise BundleError(f"{path} cannot be written: {reason(error)}", where=self.folder.name) from error
        return PayloadRef(raw_payload_id=f"raw_payload:{number}", kind=PayloadKind(kind), path=path)

    def event(
        self,
        payload: EventPayload,
        *,
        thread_id: str | None = None,
        codex_turn_id: str | None = None,
        wall_time_unix_ms: int | None = None,
    ) -> Event:
        """Appends one line and returns the event as a reader will see it."""
        if self.manifest.schema_version == 1 and isinstance(payload, events.SCHEMA_2_ONLY):
            raise BundleError(f"schema 1 has no event {type(payload).__name__}")
        with self._lock:
            envelope = {
                "schema_version": self.manifest.schema_version,
                "seq": self._seq + 1,
                "wall_time_unix_ms": time.time_ns() // 1_000_000 if wall_time_unix_ms is None else wall_time_unix_ms,
                "rollout_id": self.manifest.rollout_id,
                "thread_id": thread_id,
                "codex_turn_id": codex_turn_id,
                "payload": _fields(payload),
            }
            line = _encode(envelope, "event")
            # Reading it back is the cheapest way to be sure that it can be read.
            event = decode_event(line)
            self._append(line + b"\n")
            self._seq += 1
        return event

    def _append(self, line: bytes) -> None:
        if self._log < 0:
            raise BundleError("the recording is closed", where=self.folder.name)
        before = os.fstat(self._log).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(self._log, line[written:])
        except OSError as error:
            # A torn line in the middle would spoil all that follows.
            with suppress(OSError):
                os.ftruncate(self._log, before)
            raise BundleError(f"{LOG_NAME} cannot be written: {reason(error)}", where=self.folder.name) from error


def _fields(payload: EventPayload) -> dict[str, Any]:
    """The payload's fields in the client's order."""
    kind = type(payload)
    values: dict[str, Any] = msgspec.json.decode(_encode(payload, "event"))
    order = ("type", *_ORDER.get(kind, ()), *values)
    return {name: values[name] for name in order if name in values}


def _json(value: Any) -> bytes:
    """As the client writes a payload: two spaces deep, text as it is, no line end at the end."""
    return msgspec.json.format(_encode(value, "payload"), indent=2)


def _encode(value: Any, what: str) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise BundleError(f"the {what} cannot be written as JSON: {error}") from error
