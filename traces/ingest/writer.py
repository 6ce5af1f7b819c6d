"""A reduction and the entries it took since the last time flow in, rows flow out, all in one transaction or none."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from django.db import IntegrityError, models, transaction

from traces.ingest.identity import OTHER_CONTENT
from traces.ingest.outline import Place
from traces.ingest.reading import Entry
from traces.ingest.reduction import Reduction
from traces.ingest.rows import (
    columns,
    edge_row,
    event_row,
    item_row,
    node_row,
    payload_row,
    terminal_row,
)
from traces.models import (
    ConversationItem,
    Event,
    InteractionEdge,
    Node,
    Payload,
    RequestItems,
    Rollout,
    TerminalSession,
)
from traces.models.fields import key, moment, number, plain
from traces.models.rollouts import UNTITLED

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

    def resume(self, reduction: Reduction) -> None:
        """Learns the rows that are there already; the reduction stands where they end."""
        nodes = Node.objects.filter(rollout=self.rollout).values_list("kind", "object_id", "pk", "position")
        found = {(kind, object_id): (pk, position) for kind, object_id, pk, position in nodes}
        for place in reduction.outline.places.values():
            place.pk, position = found[place.kind, key(place.object_id)]
            if position != place.position:
                # The end of the log, which was not the end after all, had put it elsewhere.
                reduction.outline.moved.add(place.key)
        for thread_id, thread in reduction.graph.threads.items():
            self._joined(thread_id, thread.conversation_item_ids)

    def write(self, reduction: Reduction, entries: Sequence[Entry], tail: bytes = b"") -> None:
        """One batch."""
        # Compressing takes its time, and needs no lock.
        payloads = self._payloads(reduction)
        with transaction.atomic():
            self._claim()
            self._nodes(reduction)
            self._requests(reduction)
            self._items(reduction)
            self._edges(reduction)
            self._terminals(reduction)
            self._bodies(payloads)
            Event.objects.bulk_create(event_row(self.rollout, entry) for entry in entries)
            self._rollout(reduction, entries, tail)
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
        # A row names its parent's, so parents are written first.
        for _, level in groupby(sorted(places, key=lambda place: place.depth), key=lambda place: place.depth):
            self._level(list(level), reduction)

    def _level(self, places: list[Place], reduction: Reduction) -> None:
        rows = [(place, node_row(self.rollout, place, reduction, self.rollout.revision)) for place in places]
        changed = [(place, row) for place, row in rows if row is not None]
        upsert(Node, [row for _, row in changed], "kind", "object_id")
        for place, row in changed:
            place.pk = row.pk

    def _requests(self, reduction: Reduction) -> None:
        rows = []
        for each in reduction.differences:
            row = RequestItems(rollout=self.rollout, kept=each.kept, items=each.items, run=each.run, step=each.step)
            row.pk = reduction.outline.places[Node.Kind.INFERENCE_CALL, each.inference_id].pk
            if each.base is not None:
                row.base_id = reduction.outline.places[Node.Kind.INFERENCE_CALL, each.base].pk
            rows.append(row)
        RequestItems.objects.bulk_create(rows)

    def _items(self, reduction: Reduction) -> None:
        item_ids = set(reduction.touched.get("conversation_items", ()))
        for thread_id in reduction.touched.get("threads", ()):
            item_ids |= self._joined(thread_id, reduction.graph.threads[thread_id].conversation_item_ids)
        rows = []
        for item_id in sorted(item_ids):
            data = reduction.reducer.object("conversation_items", item_id)
            rows.append(item_row(self.rollout, data, self.positions.get(item_id), self.rollout.revision))
        upsert(ConversationItem, rows, "item_id")

    def _joined(self, thread_id: str, now: list[str]) -> set[str]:
        """Items whose place in the conversation is new; only the rest after the first difference is looked at."""
        known = self.conversations.get(thread_id, [])
        same = len(known) if now[: len(known)] == known else first_difference(known, now)
        self.conversations[thread_id] = list(now)
        self.positions.update({item_id: index for index, item_id in enumerate(now[same:], same)})
        return set(now[same:])

    def _edges(self, reduction: Reduction) -> None:
        edges = reduction.graph.interaction_edges
        rows = [
            edge_row(self.rollout, reduction.reducer.object("interaction_edges", edge_id), self.rollout.revision)
            for edge_id in sorted(reduction.touched.get("interaction_edges", ()))
            if edge_id in edges
        ]
        upsert(InteractionEdge, rows, "edge_id")

    def _terminals(self, reduction: Reduction) -> None:
        rows = [
            terminal_row(
                self.rollout, reduction.reducer.object("terminal_sessions", terminal_id), self.rollout.revision
            )
            for terminal_id in sorted(reduction.touched.get("terminal_sessions", ()))
        ]
        upsert(TerminalSession, rows, "terminal_id")

    def _payloads(self, reduction: Reduction) -> list[Payload]:
        known = reduction.graph.raw_payloads
        return [payload_row(body, name in known) for name, body in reduction.bodies.items()]

    def _bodies(self, rows: list[Payload]) -> None:
        for row in rows:
            row.rollout = self.rollout
        upsert(Payload, rows, "raw_payload_id")

    def _rollout(self, reduction: Reduction, entries: Sequence[Entry], tail: bytes) -> None:
        rollout = self.rollout
        summarize(rollout, reduction)
        rollout.events += len(entries)
        rollout.tail = tail
        if entries:
            rollout.fingerprint = entries[-1].chain.hex()
        rollout.save()


def upsert(model: type[models.Model], rows: list[Any], *names: str) -> None:
    """Writes rows, new ones and changed ones, found again by these columns within their rollout."""
    if rows:
        rows[0].__class__._default_manager.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["rollout", *names],
            update_fields=columns(model, "rollout", *names),
        )


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
