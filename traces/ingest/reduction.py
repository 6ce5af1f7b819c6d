"""Entries of a log flow in, a graph with its outline flows out, and which of its objects have to be written."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import Any

from traces.bundle.errors import BundleError
from traces.bundle.events import CompactionRequestFailed, Event, InferenceStarted, ProtocolEventObserved, decode_event
from traces.bundle.reader import Bundle
from traces.bundle.shapes import PayloadRef
from traces.ingest.outline import Key, Outline, keys_of
from traces.ingest.reading import Body, Entry, protocol_event
from traces.ingest.requests import Difference, Requests
from traces.ingest.sums import Sums
from traces.ingest.titles import first_line, typed_text
from traces.ingest.versions import Versions
from traces.models import Node
from traces.reducer import Reducer
from traces.reducer.errors import ReductionError
from traces.reducer.graph import Graph, Section

TURN_ENDS = ("turn_aborted", "turn_complete")


@dataclass(slots=True, frozen=True)
class Stop:
    """The first event that could not be applied, and why."""

    what: str
    seq: int | None
    line: int


class Reduction:
    """One recording, reduced event by event."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.entry: Entry | None = None
        self.applied = 0
        self.reducer = Reducer(bundle.manifest, self._payload)
        self.outline = Outline(self.graph)
        self.sums = Sums()
        self.versions = Versions(bundle.manifest.schema_version)
        self.stopped: Stop | None = None
        self.title = ""
        self.asked: set[str] = set()
        self.requests = Requests()
        self.forget()

    @property
    def graph(self) -> Graph:
        """The graph as it is now."""
        return self.reducer.graph

    def forget(self) -> None:
        """What was touched is written: from now on only what is touched next."""
        self.touched: dict[Section, set[str]] = defaultdict(set)
        self.nodes: set[Key] = set()
        self.differences: list[Difference] = []
        # Payloads that are new, each with the line that names it.
        self.bodies: dict[str, tuple[Body, int]] = {}
        self.outline.moved.clear()

    def take(self, entry: Entry) -> None:
        """Applies an event; after the first that cannot be applied, only its payloads are kept."""
        known = self.graph.raw_payloads
        fresh = [body for body in entry.bodies if known.get(body.ref.raw_payload_id) != body.ref]
        if self.stopped is None:
            self._apply(entry)
        for body in fresh:
            in_graph = known.get(body.ref.raw_payload_id)
            if in_graph is None or in_graph == body.ref:
                self.bodies[body.ref.raw_payload_id] = body, entry.line

    def _apply(self, entry: Entry) -> None:
        event = entry.event
        if event is None:
            self.stopped = Stop(entry.wrong, entry.glimpse.seq if entry.glimpse else None, entry.line)
            return
        self.entry = entry
        try:
            changes = self.reducer.apply(event, entry.line)
        except (ReductionError, BundleError) as error:
            self.stopped = Stop(error.what, event.seq, entry.line)
            self._start_over()
            return
        finally:
            self.entry = None
        self.applied += 1
        self._note(entry, event, changes.touched)

    def _start_over(self) -> None:
        """An event that failed may have left half of itself in the graph: the graph is made again without it."""
        self.entry = None
        self.reducer = Reducer(self.bundle.manifest, self._payload)
        self.outline.graph = self.graph
        for line in islice(self.bundle.lines(), self.applied):
            self.reducer.apply(decode_event(line.data), line.number)

    def _note(self, entry: Entry, event: Event, touched: dict[Section, set[str]]) -> None:
        for section, ids in touched.items():
            self.touched[section] |= ids
        self.outline.take(event, touched)
        self.versions.take(entry, event)
        for inference_id in touched.get("inference_calls", ()):
            self.sums.take(self.graph.inference_calls[inference_id])
        if isinstance(event.payload, InferenceStarted):
            self._note_request(event.payload)
        self._note_ends(event, touched)
        self._note_words(entry, event)

    def finish(self) -> None:
        """The log ends here."""
        touched = self.reducer.finish().touched
        for section, ids in touched.items():
            self.touched[section] |= ids
        self.outline.settle(touched)

    def _payload(self, ref: PayloadRef) -> bytes:
        body = self.entry.payload(ref.path) if self.entry else None
        if body is None:
            return self.bundle.payload(ref.path)
        if body.content is None:
            raise BundleError(body.missing)
        return body.content

    def _note_request(self, started: InferenceStarted) -> None:
        """A call's items are known when it starts, and what the user asked in its turn with them."""
        call = self.graph.inference_calls[started.inference_call_id]
        place = self.outline.places[Node.Kind.INFERENCE_CALL, call.inference_call_id]
        ids = call.request_item_ids
        difference = self.requests.take(call.thread_id, call.inference_call_id, place.number, ids)
        self.differences.append(difference)
        if call.codex_turn_id not in self.asked:
            self.asked.add(call.codex_turn_id)
            self._name_turn(call.codex_turn_id, ids.to_list())
        if not self.title and call.thread_id == self.graph.root_thread_id:
            texts = (typed_text(self.graph.conversation_items[item_id]) for item_id in difference.items)
            self.title = first_line(next(filter(None, texts), ""))

    def _name_turn(self, codex_turn_id: str, item_ids: list[str]) -> None:
        """A turn is called by the last thing a user typed before the model was first asked in it."""
        for item_id in reversed(item_ids):
            item = self.graph.conversation_items[item_id]
            if item.codex_turn_id != codex_turn_id:
                return
            text = typed_text(item)
            if text:
                self._say((Node.Kind.CODEX_TURN, codex_turn_id), title=first_line(text))
                return

    def _note_ends(self, event: Event, touched: dict[Section, set[str]]) -> None:
        """Which event ended what."""
        for key in keys_of(touched):
            window = getattr(self.outline.value(*key), "execution", None)
            if window is None or window.ended_seq == event.seq:
                self.outline.places[key].end_event = event.type

    def _note_words(self, entry: Entry, event: Event) -> None:
        """Reasons that the log gives and the graph does not keep."""
        payload = event.payload
        if isinstance(payload, CompactionRequestFailed):
            self._say((Node.Kind.COMPACTION_REQUEST, payload.compaction_request_id), said=payload.error)
        elif isinstance(payload, ProtocolEventObserved) and payload.event_type in TURN_ENDS:
            end = protocol_event(entry, payload.event_payload)
            self._say((Node.Kind.CODEX_TURN, str(end.get("turn_id"))), said=why(end))

    def _say(self, key: Key, title: str = "", said: str = "") -> None:
        place = self.outline.places.get(key)
        if place is not None:
            place.title, place.said = title or place.title, said or place.said
            self.nodes.add(key)

    def dirty(self) -> set[Key]:
        """The nodes whose rows may have to change."""
        keys = {*keys_of(self.touched), *self.nodes, *self.outline.moved}
        for operation_id in self.touched.get("terminal_operations", ()):
            # A tool call is named by its terminal operation.
            keys.add((Node.Kind.TOOL_CALL, self.graph.terminal_operations[operation_id].tool_call_id))
        return {key for key in keys if key in self.outline.places}


def why(end: dict[str, Any]) -> str:
    """Why a turn ended before its time, as the client told its user: a reason, or an error and its message."""
    error = end.get("error")
    said = error.get("message") if isinstance(error, dict) else end.get("reason")
    return said if isinstance(said, str) else ""
