"""Events flow in, the client versions that can have written them flow out: a bundle does not name its client.

What each version writes was found by recording with nearly every release from 0.124 to 0.166, and with 0.169.
"""

from typing import Any

from traces.bundle.events import (
    Event,
    InferenceCancelled,
    InferenceCompleted,
    InferenceFailed,
    ProtocolEventObserved,
    RecordingCompleted,
    RolloutEnded,
    StdinTargetResolved,
    ToolCallRuntimeStarted,
)
from traces.ingest.reading import Entry, protocol_event

TERMINAL = (InferenceCompleted, InferenceFailed, InferenceCancelled)
FIRST_OF_SCHEMA_2 = 165
FIRST_TO_COMPLETE = 169
# Fields of the client's own protocol events: since that minor version every such event has them.
SINCE = {
    "session_configured": {"thread_id": 129},
    "turn_started": {"root_turn_id": 156, "turn_attribution": 162},
    "turn_complete": {"started_at": 145},
}


class Versions:
    """The oldest and the newest minor version of client 0.x that fit what was seen; None is open."""

    def __init__(self, schema_version: int) -> None:
        self.oldest: int | None = None if schema_version == 1 else FIRST_OF_SCHEMA_2
        self.newest: int | None = FIRST_OF_SCHEMA_2 - 1 if schema_version == 1 else None
        self.schema_version = schema_version
        self.ended = False

    def take(self, entry: Entry, event: Event) -> None:
        """Looks at one event."""
        payload = event.payload
        if isinstance(payload, TERMINAL):
            self._terminal(entry)
        elif isinstance(payload, ProtocolEventObserved):
            self._protocol(payload.event_type, protocol_event(entry, payload.event_payload))
        elif isinstance(payload, ToolCallRuntimeStarted) and self.schema_version > 1:
            self._since(166, payload.kind is not None)
        elif isinstance(payload, StdinTargetResolved):
            self._since(164, True)
        elif isinstance(payload, RecordingCompleted):
            self._since(FIRST_TO_COMPLETE, True)
        elif isinstance(payload, RolloutEnded):
            self.ended = True

    def _terminal(self, entry: Entry) -> None:
        self._since(128, b'"upstream_request_id"' in entry.data)
        for body in entry.bodies:
            # A model's words stand inside of strings, where quotes are escaped: these are the client's own.
            if b'"cached_input_tokens"' in (body.content or b""):
                self._since(145, b'"cache_write_input_tokens"' in (body.content or b""))

    def _protocol(self, event_type: str, said: dict[str, Any]) -> None:
        if said:
            for field, version in SINCE.get(event_type, {}).items():
                self._since(version, field in said)

    def _since(self, version: int, there: bool) -> None:
        """Something that this version brought is there, or is not."""
        if there:
            self.oldest = max(self.oldest or 0, version)
        else:
            self.newest = min(self.newest or version, version - 1)

    def guess(self) -> str:
        """The range in words; nothing where what was seen fits no client at all."""
        oldest, newest = self.oldest, self.newest
        if newest is None and self.ended and oldest is not None and oldest < FIRST_TO_COMPLETE:
            newest = FIRST_TO_COMPLETE - 1
        if oldest is None:
            return f"0.{newest} or earlier"
        if newest is None:
            return f"0.{oldest} or later"
        if oldest > newest:
            return ""
        return f"0.{newest}" if oldest == newest else f"0.{oldest}–0.{newest}"
