"""A bundle flows in, batches of rows flow out; no database is asked on the way."""

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from traces.bundle.reader import Bundle
from traces.ingest.batch import Batch, Named, NodeKey, Request, Stored, Stretch
from traces.ingest.outline import Place
from traces.ingest.reading import Entry, Reading
from traces.ingest.reduction import Reduction
from traces.ingest.requests import Difference
from traces.ingest.rows import edge_row, event_row, item_row, node_row, terminal_row
from traces.ingest.tables import Values
from traces.models.fields import key, moment, number, plain
from traces.models.rollouts import UNTITLED
from traces.reducer.graph import Section

BATCH_EVENTS = 1000
BATCH_BYTES = 32_000_000
STRETCH_BYTES = 250_000
TOTALS = ("schema_version", "trace_id", "rollout_id", "started_at_unix_ms", "ended_at_unix_ms", "status",
          "recording_complete", "root_thread_id")  # fmt: skip


def batches(bundle: Bundle, stored: Stored, batch_events: int = BATCH_EVENTS) -> Generator[Batch]:
    """What a recording holds after what is stored of it already; there is always a last batch."""
    reading, builder = Reading(bundle), Builder(bundle, stored)
    entries = iter(reading)
    builder.catch_up(islice(entries, stored.events))
    yield from to_the_end(builder, reading, entries, batch_events)


def to_the_end(
    builder: "Builder", reading: Reading, entries: Iterator[Entry], batch_events: int = BATCH_EVENTS
) -> Generator[Batch]:
    """What is left of a reading; the last batch is one, however little is in it."""
    some, full = builder.take_some(entries, batch_events)
    while full:
        yield builder.batch(some)
        some, full = builder.take_some(entries, batch_events)
    yield builder.last_batch(some, reading)


class Builder:
    """Makes the rows of one rollout. It remembers what they say, so it has to see all of the rollout's events."""

    def __init__(self, bundle: Bundle, stored: Stored) -> None:
        self.stored = stored
        self.reduction = Reduction(bundle)
        # Where the log's last event ends, and how many events there are.
        self.position, self.events = stored.position, stored.events
        self.conversations: dict[str, list[str]] = {}
        self.positions: dict[str, int] = {}

    def resume(self, bundle: Bundle, stored: Stored) -> None:
        """Goes on after a restart; what was stored since is caught up with next."""
        self.reduction.bundle = bundle
        self.stored, self.position, self.events = stored, stored.position, stored.events

    def catch_up(self, entries: Iterator[Entry]) -> None:
        """Brings the reduction to where the rows stand."""
        for entry in entries:
            self.reduction.take(entry)
            self.reduction.forget()
        outline, known = self.reduction.outline, self.stored.nodes
        # The end of the log, which was not the end after all, had put some elsewhere.
        outline.moved.update(
            place.key for place in outline.places.values() if known.get(node_key(place)) != place.position
        )
        for thread_id, thread in self.reduction.graph.threads.items():
            self._joined(thread_id, thread.conversation_item_ids)

    def take_some(self, entries: Iterator[Entry], most: int = BATCH_EVENTS) -> tuple[list[Entry], bool]:
        """Takes as many events as make a batch; whether there were enough for one."""
        some: list[Entry] = []
        size = 0
        for entry in entries:
            self.reduction.take(entry)
            some.append(entry)
            size += entry.size
            if len(some) >= most or size >= BATCH_BYTES:
                return some, True
        return some, False

    def batch(self, entries: Sequence[Entry]) -> Batch:
        """What was taken since the last batch, which were these entries."""
        reduction = self.reduction
        batch = Batch(
            nodes=dict(self._nodes()),
            requests=[request_of(each) for each in reduction.differences],
            items=self._items(),
            edges=self._rows("interaction_edges", edge_row),
            terminals=self._rows("terminal_sessions", terminal_row),
            events=[event_row(entry) for entry in entries],
            payloads=list(self._payloads()),
            log=list(self._log(entries)),
            columns=summary(reduction),
        )
        batch.columns["events"] = self.events
        if entries:
            batch.columns["fingerprint"] = entries[-1].chain.hex()
        reduction.forget()
        return batch

    def last_batch(self, entries: Sequence[Entry], reading: Reading) -> Batch:
        """The log ends here: the rest, and what no event names."""
        self.reduction.finish()
        batch = self.batch(entries)
        batch.last = True
        batch.columns |= {
            "rest": reading.rest,
            "tail": reading.tail,
            "manifest_body": reading.bundle.manifest_body(),
        }
        return batch

    def _payloads(self) -> Iterator[Named]:
        known = self.reduction.graph.raw_payloads
        for name, (body, line) in self.reduction.bodies.items():
            yield Named(body, line, name in known)

    def _log(self, entries: Sequence[Entry]) -> Iterator[Stretch]:
        first = size = 0
        for index, entry in enumerate(entries):
            size += len(entry.gap) + len(entry.data)
            if size >= STRETCH_BYTES or index + 1 == len(entries):
                yield self._stretch(entries[first : index + 1])
                first, size = index + 1, 0

    def _stretch(self, entries: Sequence[Entry]) -> Stretch:
        raw = b"".join(part for entry in entries for part in (entry.gap, entry.data))
        start, before = self.position, self.events
        self.position += len(raw)
        self.events += len(entries)
        return Stretch(start, raw, before, b"".join(entry.chain for entry in entries))

    def _nodes(self) -> Iterator[tuple[NodeKey, tuple[NodeKey | None, Values]]]:
        outline = self.reduction.outline
        places = sorted((outline.places[key] for key in self.reduction.dirty()), key=lambda place: place.position)
        for place in places:
            row = node_row(place, self.reduction)
            if row is not None:
                yield node_key(place), (node_key(place.parent) if place.parent else None, row)

    def _items(self) -> dict[Any, Values]:
        reduction = self.reduction
        item_ids = set(reduction.touched.get("conversation_items", ()))
        for thread_id in reduction.touched.get("threads", ()):
            item_ids |= self._joined(thread_id, reduction.graph.threads[thread_id].conversation_item_ids)
        return {
            key(item_id): item_row(reduction.reducer.object("conversation_items", item_id), self.positions.get(item_id))
            for item_id in sorted(item_ids)
        }

    def _joined(self, thread_id: str, now: list[str]) -> set[str]:
        """Items whose place in the conversation is new; only the rest after the first difference is looked at."""
        known = self.conversations.get(thread_id, [])
        same = len(known) if now[: len(known)] == known else first_difference(known, now)
        self.conversations[thread_id] = list(now)
        self.positions.update({item_id: index for index, item_id in enumerate(now[same:], same)})
        return set(now[same:])

    def _rows(self, section: Section, row: Callable[[Any], Values]) -> dict[Any, Values]:
        there = getattr(self.reduction.graph, section)
        ids = sorted(each for each in self.reduction.touched.get(section, ()) if each in there)
        return {key(each): row(self.reduction.reducer.object(section, each)) for each in ids}


def request_of(difference: Difference) -> Request:
    """The row of a request's items."""
    values = (difference.kept, msgspec.json.encode(difference.items), difference.run, difference.step)
    return Request(difference.inference_id, difference.base, values)


def node_key(place: Place) -> NodeKey:
    """How the row of a place is found."""
    return place.kind, key(place.object_id)


def summary(reduction: Reduction) -> dict[str, Any]:
    """The columns that the list of rollouts shows."""
    graph, sums = reduction.graph, reduction.sums
    root = graph.threads.get(graph.root_thread_id)
    version = reduction.versions.guess()
    head = {name: value for name in TOTALS if isinstance(value := getattr(graph, name), int | str | None)}
    tokens = zip(("tokens_in", "tokens_cached", "tokens_out", "tokens_reasoning"), sums.tokens, strict=True)
    return {
        "head": head,
        "status": graph.status,
        "ended_at": None if graph.ended_at_unix_ms is None else moment(graph.ended_at_unix_ms),
        "recording_complete": head.get("recording_complete"),
        "title": plain(reduction.title) or UNTITLED,
        "model": key(root.default_model if root else ""),
        "client_version": version,
        "client_version_guess": bool(version),
        "agents": len(graph.threads),
        **dict(tokens),
        "calls_without_usage": sums.without_usage,
        "counts": sums.counts(),
        **_stopped(reduction),
    }


def _stopped(reduction: Reduction) -> dict[str, Any]:
    stopped = reduction.stopped
    if stopped is None:
        return {}
    return {
        "stopped_what": plain(stopped.what),
        "stopped_seq": number(stopped.seq),
        "stopped_line": stopped.line,
    }


def first_difference(before: Sequence[str], after: Sequence[str]) -> int:
    """The first index at which two lists differ."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((index for index, (old, new) in pairs if old != new), min(len(before), len(after)))
