"""A bundle flows in, its events flow out one by one: each with its payloads' bytes and a hash of everything so far."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from traces.bundle.errors import BundleError
from traces.bundle.events import Event, decode_event, payload_refs
from traces.bundle.manifest import Manifest
from traces.bundle.reader import Bundle, Line
from traces.bundle.shapes import PayloadRef

CHAIN_BYTES = 16


@dataclass(slots=True, frozen=True)
class Body:
    """A payload as the bundle holds it, or why it cannot be had."""

    ref: PayloadRef
    content: bytes | None
    sha256: bytes = b""
    missing: str = ""


@dataclass(slots=True, frozen=True)
class Glimpse:
    """What can be told of a line that is no event of any version known here."""

    seq: int | None = None
    wall_time_unix_ms: int | None = None
    type: str = ""
    thread_id: str = ""
    codex_turn_id: str = ""
    refs: tuple[PayloadRef, ...] = ()


@dataclass(slots=True)
class Entry:
    """One line of the log with all that it names."""

    line: int
    data: bytes
    # Where the data starts in the log, and the bytes between it and the line before: line ends and empty lines.
    start: int
    gap: bytes
    chain: bytes = b""
    event: Event | None = None
    wrong: str = ""
    glimpse: "Glimpse | None" = None
    bodies: list[Body] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many bytes it brings along."""
        return len(self.data) + sum(len(body.content or b"") for body in self.bodies)

    def payload(self, path: str) -> Body | None:
        """The payload of this path, when this line names it."""
        return next((body for body in self.bodies if body.ref.path == path), None)


@dataclass(slots=True, frozen=True)
class Mark:
    """How far a log is read: where its last event ends, on which line, how many there are, and their chain."""

    position: int = 0
    line: int = 0
    events: int = 0
    chain: bytes = b""


class Reading:
    """Reads a bundle once, from a mark on. In the end `tail` is a last line that is not complete, `rest` what else is
    no event.

    While a recording grows, a last line without its end is no event yet, even where it reads like one.
    """

    def __init__(self, bundle: Bundle, mark: Mark | None = None, growing: bool = False) -> None:
        self.bundle = bundle
        self.mark = mark or Mark(chain=first_link(bundle.manifest))
        self.growing = growing
        self.rest = self.tail = b""

    @property
    def events(self) -> int:
        """How many events there are up to here."""
        return self.mark.events

    @property
    def chain(self) -> bytes:
        """A hash of everything up to here."""
        return self.mark.chain

    def __iter__(self) -> Iterator[Entry]:
        with self.bundle.open_lines(self.mark.position, self.mark.line) as lines:
            for line in lines:
                if self.growing and not line.complete:
                    self.rest, self.tail = line.gap, line.data
                    return
                entry = self._entry(line, self.mark.position + len(line.gap))
                if entry.event is None and not line.complete:
                    # The rest of it has not arrived: it is no event yet, and the next reading finds it whole.
                    self.rest, self.tail = line.gap, line.data
                    return
                entry.chain = self._link(entry)
                self.mark = Mark(entry.start + len(line.data), line.number, self.events + 1, entry.chain)
                yield entry
            self.rest = lines.rest

    def _entry(self, line: Line, start: int) -> Entry:
        try:
            event = decode_event(line.data)
        except BundleError as error:
            said = glimpse(line.data)
            bodies = [self._body(ref) for ref in said.refs]
            return Entry(line.number, line.data, start, line.gap, wrong=error.what, glimpse=said, bodies=bodies)
        bodies = [self._body(ref) for ref in payload_refs(event.payload)]
        return Entry(line.number, line.data, start, line.gap, event=event, bodies=bodies)

    def _body(self, ref: PayloadRef) -> Body:
        try:
            content = self.bundle.payload(ref.path)
        except BundleError as error:
            return Body(ref, None, missing=error.what)
        return Body(ref, content, hashlib.sha256(content).digest())

    def _link(self, entry: Entry) -> bytes:
        link = hashlib.blake2b(self.chain, digest_size=CHAIN_BYTES)
        link.update(len(entry.data).to_bytes(8))
        link.update(entry.data)
        for body in entry.bodies:
            link.update(body.sha256 or b"-")
        return link.digest()


def first_link(manifest: Manifest) -> bytes:
    """What the chain of a recording begins with: who was recorded, and when."""
    return hashlib.blake2b(msgspec.json.encode(manifest), digest_size=CHAIN_BYTES).digest()


def glimpse(line: bytes) -> Glimpse:
    """Looks into a line without knowing what it is: a later version's event still has a seq and names payloads."""
    found = json_object(line)
    payload = found.get("payload")
    kind = payload.get("type") if isinstance(payload, dict) else None
    seq, at = (value if isinstance(value, int) else None for value in map(found.get, ("seq", "wall_time_unix_ms")))
    kind, thread_id, codex_turn_id = (
        value if isinstance(value, str) else "" for value in (kind, found.get("thread_id"), found.get("codex_turn_id"))
    )
    return Glimpse(seq, at, kind, thread_id, codex_turn_id, tuple(named_payloads(payload)))


def named_payloads(value: Any) -> Iterator[PayloadRef]:
    """Every payload that is named anywhere in a JSON value."""
    ahead = [value]
    while ahead:
        value = ahead.pop()
        try:
            yield msgspec.convert(value, PayloadRef)
        except msgspec.ValidationError:
            ahead.extend(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())


def json_object(data: bytes) -> dict[str, Any]:
    """A JSON object; empty where it is none, for whoever asks can do without."""
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def protocol_event(entry: Entry, ref: PayloadRef) -> dict[str, Any]:
    """An event of the client's own protocol."""
    body = entry.payload(ref.path)
    return json_object(body.content or b"") if body else {}
