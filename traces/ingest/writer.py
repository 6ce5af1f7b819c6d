"""Batches flow in, rows flow out, each batch in one transaction or not at all."""

from collections.abc import Hashable, Iterable
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction

from traces.bundle.reader import Bundle
from traces.ingest.batch import Batch, NodeKey, Stored
from traces.ingest.identity import OTHER_CONTENT
from traces.ingest.recording import Recording
from traces.ingest.rows import EDGE, EVENT, ITEM, NODE, TERMINAL
from traces.ingest.tables import Rows, Values, insert, without_waiting
from traces.live import ring
from traces.models import (
    ConversationItem,
    Event,
    InteractionEdge,
    LogBlock,
    Node,
    RequestItems,
    Rollout,
    TerminalSession,
)
from traces.models.fields import key, pack

REQUEST = ("inference", "rollout", "base", "kept", "items", "run", "step")


class Overtaken(Exception):
    """Somebody else wrote to this rollout: what this writer knows of its rows is no longer so."""


class Writer:
    """Writes one rollout. It remembers which rows there are."""

    def __init__(self, rollout: Rollout, bundle: Bundle) -> None:
        self.rollout = rollout
        self.recording = Recording(bundle)
        self.nodes = Rows(Node, "revision", "parent", *NODE, packed="data")
        self.items = Rows(ConversationItem, "revision", *ITEM, packed="data")
        self.edges = Rows(InteractionEdge, "revision", *EDGE, packed="data")
        self.terminals = Rows(TerminalSession, "revision", *TERMINAL, packed="data")

    def resume(self) -> Stored:
        """Learns the rows that are there already; what a builder has to know of them."""
        if self.rollout.pk is None:
            return Stored()
        names = {self.items: "item_id", self.edges: "edge_id", self.terminals: "terminal_id"}
        for rows, name in names.items():
            rows.pks.update(rows.model._base_manager.filter(rollout=self.rollout).values_list(name, "pk"))
        found = list(Node.objects.filter(rollout=self.rollout).values_list("kind", "object_id", "pk", "position"))
        self.nodes.pks.update({(kind, object_id): pk for kind, object_id, pk, _ in found})
        stored = Stored(self.rollout.events, nodes={(kind, object_id): place for kind, object_id, _, place in found})
        self.recording.resume(self.rollout)
        last = LogBlock.objects.filter(rollout=self.rollout).order_by("-start").first()
        stored.position = last.start + last.size if last else 0
        return stored

    def write(self, batch: Batch) -> None:
        """One batch."""
        self.recording.take(batch.payloads, batch.log)
        if batch.last:
            self.recording.take_rest()
        with transaction.atomic():
            if not batch.last:
                # Its bytes are kept until the last one is on disk, and all before it are then.
                without_waiting()
            self._claim()
            revision = self.rollout.revision
            self._nodes(batch, revision)
            self._requests(batch)
            for rows, values in (
                (self.items, batch.items),
                (self.edges, batch.edges),
                (self.terminals, batch.terminals),
            ):
                rows.write(self.rollout.pk, {name: (revision, *row) for name, row in values.items()})
            insert(Event, ("rollout", *EVENT), [(self.rollout.pk, *row) for row in batch.events])
            self.recording.write(self.rollout)
            self._rollout(batch)
            transaction.on_commit(partial(ring, self.rollout.public_id, revision))

    def note(self, **columns: Any) -> None:
        """Columns alone; pages hear of it."""
        with transaction.atomic():
            self._claim()
            self._say(columns)
            self._save(columns)
            transaction.on_commit(partial(ring, self.rollout.public_id, self.rollout.revision))

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

    def _nodes(self, batch: Batch, revision: int) -> None:
        # A row names its parent's, which may be as new.
        fresh = self.nodes.reserve(batch.nodes)
        rows: dict[Hashable, Values] = {
            name: (revision, parent and self.nodes.pks[parent], *values)
            for name, (parent, values) in batch.nodes.items()
        }
        self.nodes.write(self.rollout.pk, rows, fresh)

    def _requests(self, batch: Batch) -> None:
        rows = [
            (self._call(each.inference_id), self.rollout.pk, each.base and self._call(each.base), *each.values)
            for each in batch.requests
        ]
        insert(RequestItems, REQUEST, [(*row[:4], pack(row[4]), *row[5:]) for row in rows])

    def _call(self, inference_id: str) -> int:
        name: NodeKey = (Node.Kind.INFERENCE_CALL, key(inference_id))
        return self.nodes.pks[name]

    def _rollout(self, batch: Batch) -> None:
        self._say(batch.columns)
        names = [*batch.columns, "bytes_stored"]
        if batch.last:
            self.recording.settle(self.rollout)
            names.append("bytes_recorded")
        self._save(names)

    def _say(self, columns: dict[str, Any]) -> None:
        for name, value in columns.items():
            setattr(self.rollout, name, value)

    def _save(self, names: Iterable[str]) -> None:
        """Nothing but these columns: somebody may have deleted it meanwhile, and that must stay."""
        self.rollout.save(update_fields=[*names, "updated_at"])
