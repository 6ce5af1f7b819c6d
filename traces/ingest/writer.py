"""A reduction and the entries it took since the last time flow in, rows flow out, all in one transaction or none."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import msgspec
from django.db import IntegrityError, transaction

from traces.ingest.identity import OTHER_CONTENT
from traces.ingest.outline import Place
from traces.ingest.reading import Entry, Reading
from traces.ingest.recording import Recording
from traces.ingest.reduction import Reduction
from traces.ingest.rows import EDGE, EVENT, ITEM, NODE, TERMINAL, edge_row, event_row, item_row, node_row, terminal_row
from traces.ingest.tables import Rows, Values, insert
from traces.models import (
    ConversationItem,
    Event,
    InteractionEdge,
    Node,
    RequestItems,
    Rollout,
    TerminalSession,
)
from traces.models.fields import key, moment, number, pack, plain
from traces.models.rollouts import UNTITLED
from traces.reducer.graph import Section

TOTALS = ("schema_version", "trace_id", "rollout_id", "started_at_unix_ms", "ended_at_unix_ms", "status",
          "recording_complete", "root_thread_id")  # fmt: skip


class Overtaken(Exception):
    """Somebody else wrote to this rollout: what this writer knows of its rows is no longer so."""


class Writer:
    """Writes one rollout. It remembers what the rows say, so it has to see all of the rollout's events."""

    def __init__(self, rollout: Rollout) -> None:
        self.rollout = rollout
        self.conversations: dict[str, list[str]] = {}
        self.positions: dict[str, int] = {}
        self.recording = Recording()
        self.nodes = Rows(Node, *NODE)
        self.items = Rows(ConversationItem, *ITEM)
        self.edges = Rows(InteractionEdge, *EDGE)
        self.terminals = Rows(TerminalSession, *TERMINAL)

    def resume(self, reduction: Reduction) -> None:
        """Learns the rows that are there already; the reduction stands where they end."""
        found = Node.objects.filter(rollout=self.rollout).values_list("kind", "object_id", "pk", "position")
        positions = {(kind, object_id): position for kind, object_id, _, position in found}
        self.nodes.pks.update({(kind, object_id): pk for kind, object_id, pk, _ in found})
        for place in reduction.outline.places.values():
            if positions[place.kind, key(place.object_id)] != place.position:
                # The end of the log, which was not the end after all, had put it elsewhere.
                reduction.outline.moved.add(place.key)
        for rows, name in ((self.items, "item_id"), (self.edges, "edge_id"), (self.terminals, "terminal_id")):
            rows.pks.update(rows.model._base_manager.filter(rollout=self.rollout).values_list(name, "pk"))
        for thread_id, thread in reduction.graph.threads.items():
            self._joined(thread_id, thread.conversation_item_ids)
        self.recording.resume(self.rollout)

    def write(self, reduction: Reduction, entries: Sequence[Entry]) -> None:
        """One batch."""
        self._take(reduction)
        self._write(reduction, entries)

    def finish(self, reduction: Reduction, entries: Sequence[Entry], reading: Reading) -> None:
        """The last batch, with what no event names."""
        bundle = reading.bundle
        self._take(reduction)
        self.recording.take_rest(bundle, self.rollout)
        self.rollout.rest, self.rollout.tail = reading.rest, reading.tail
        self.rollout.manifest_body = bundle.manifest_body()
        self._write(reduction, entries, last=True)

    def _take(self, reduction: Reduction) -> None:
        known = reduction.graph.raw_payloads
        for name, (body, line) in reduction.bodies.items():
            self.recording.take(body, line, name in known)

    def _write(self, reduction: Reduction, entries: Sequence[Entry], last: bool = False) -> None:
        with transaction.atomic():
            self._claim()
            self._nodes(reduction)
            self._requests(reduction)
            self._items(reduction)
            self._rows_of(self.edges, reduction, "interaction_edges", edge_row)
            self._rows_of(self.terminals, reduction, "terminal_sessions", terminal_row)
            insert(Event, EVENT, [event_row(self.rollout.pk, entry) for entry in entries])
            self.recording.write(self.rollout, entries)
            if last:
                self.recording.settle(self.rollout)
            self._rollout(reduction, entries)
        reduction.forget()

    def _claim(self) -> None:
        """Takes the next revision and, with it, the lock on the rollout's row until this batch is written."""
        if self.rollout.pk is None:
            self._create()
            return
        mine = Rollout.objects.filter(pk=self.rollout.pk, revision=self.rollout.revision)
        if not mine.update(revision=self.rollout.revision + 1):
            raise Overtaken
        self.rollout.revision += 1

    def _create(self) -> None:
        self.rollout.revision = 1
        try:
            with transaction.atomic():
                self.rollout.save(force_insert=True)
        except IntegrityError as error:
            raise Overtaken from error
        self.rollout.siblings().update(note=OTHER_CONTENT)

    def _nodes(self, reduction: Reduction) -> None:
        places = sorted((reduction.outline.places[key] for key in reduction.dirty()), key=lambda place: place.position)
        # A row names its parent's, which may be as new.
        fresh = self.nodes.reserve(self._key(place) for place in places)
        rows: dict[Hashable, Values] = {}
        for place in places:
            parent = self.nodes.pks[self._key(place.parent)] if place.parent else None
            row = node_row(place, reduction, parent, self.rollout.revision)
            if row is not None:
                rows[self._key(place)] = row
        self.nodes.write(self.rollout.pk, rows, fresh)

    def _key(self, place: Place) -> Hashable:
        return place.kind, key(place.object_id)

    def _requests(self, reduction: Reduction) -> None:
        rows = [
            (self._call(each.inference_id), self.rollout.pk, each.base and self._call(each.base), each.kept,
             pack(msgspec.json.encode(each.items)), each.run, each.step)
            for each in reduction.differences
        ]  # fmt: skip
        insert(RequestItems, ("inference", "rollout", "base", "kept", "items", "run", "step"), rows)

    def _call(self, inference_id: str) -> int:
        return self.nodes.pks[Node.Kind.INFERENCE_CALL, key(inference_id)]

    def _items(self, reduction: Reduction) -> None:
        item_ids = set(reduction.touched.get("conversation_items", ()))
        for thread_id in reduction.touched.get("threads", ()):
            item_ids |= self._joined(thread_id, reduction.graph.threads[thread_id].conversation_item_ids)
        rows: dict[Hashable, Values] = {}
        for item_id in sorted(item_ids):
            data = reduction.reducer.object("conversation_items", item_id)
            rows[key(item_id)] = item_row(data, self.positions.get(item_id), self.rollout.revision)
        self.items.write(self.rollout.pk, rows)

    def _joined(self, thread_id: str, now: list[str]) -> set[str]:
        """Items whose place in the conversation is new; only the rest after the first difference is looked at."""
        known = self.conversations.get(thread_id, [])
        same = len(known) if now[: len(known)] == known else first_difference(known, now)
        self.conversations[thread_id] = list(now)
        self.positions.update({item_id: index for index, item_id in enumerate(now[same:], same)})
        return set(now[same:])

    def _rows_of(self, rows: Rows, reduction: Reduction, section: Section, row: Callable[[Any, int], Values]) -> None:
        there = getattr(reduction.graph, section)
        ids = sorted(each for each in reduction.touched.get(section, ()) if each in there)
        data = {key(each): reduction.reducer.object(section, each) for each in ids}
        rows.write(self.rollout.pk, {each: row(value, self.rollout.revision) for each, value in data.items()})

    def _rollout(self, reduction: Reduction, entries: Sequence[Entry]) -> None:
        rollout = self.rollout
        summarize(rollout, reduction)
        rollout.events += len(entries)
        if entries:
            rollout.fingerprint = entries[-1].chain.hex()
        rollout.save()


def summarize(rollout: Rollout, reduction: Reduction) -> None:
    """The columns that the list of rollouts shows."""
    graph, sums = reduction.graph, reduction.sums
    root = graph.threads.get(graph.root_thread_id)
    rollout.head = {name: value for name in TOTALS if isinstance(value := getattr(graph, name), int | str | None)}
    rollout.status = graph.status
    rollout.ended_at = None if graph.ended_at_unix_ms is None else moment(graph.ended_at_unix_ms)
    rollout.recording_complete = rollout.head.get("recording_complete")
    rollout.title = plain(reduction.title) or UNTITLED
    rollout.model = key(root.default_model if root else "")
    rollout.client_version = reduction.versions.guess()
    rollout.client_version_guess = bool(rollout.client_version)
    rollout.agents = len(graph.threads)
    rollout.tokens_in, rollout.tokens_cached, rollout.tokens_out, rollout.tokens_reasoning = sums.tokens
    rollout.calls_without_usage = sums.without_usage
    rollout.counts = sums.counts()
    if reduction.stopped is not None:
        rollout.stopped_what = plain(reduction.stopped.what)
        rollout.stopped_seq = number(reduction.stopped.seq)
        rollout.stopped_line = reduction.stopped.line


def first_difference(before: Sequence[str], after: Sequence[str]) -> int:
    """The first index at which two lists differ."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((index for index, (old, new) in pairs if old != new), min(len(before), len(after)))
