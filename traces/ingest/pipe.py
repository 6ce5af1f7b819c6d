"""A bundle flows in, rows flow out: the one write path, for uploads and for whatever grows."""

import gc
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from traces.bundle.reader import Bundle
from traces.ingest.batch import Batch, Stored
from traces.ingest.building import batches
from traces.ingest.identity import Match, Verdict, find
from traces.ingest.writer import Overtaken, Writer
from traces.models import Rollout, Upload
from traces.models.fields import key

PATIENCE = 0.2  # seconds between two looks at a rollout that somebody else is writing

Progress = Callable[[int], None]
Build = Callable[[Bundle, Stored], Generator[Batch]]
# Reduction is bound by the one interpreter: two bundles at once would only hinder each other.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Ingested:
    """What came of a bundle."""

    rollout: Rollout
    verdict: Verdict
    sentence: str


def no_progress(_: int) -> None:
    """For callers who do not care."""


def ingest_bundle(
    bundle: Bundle,
    upload: Upload | None = None,
    progress: Progress = no_progress,
    build: Build = batches,
) -> Ingested:
    """Brings a bundle into rows; `progress` is told how many of its events are done."""
    with _one_at_a_time, rare_collections():
        ingested = _until_written(bundle, progress, build)
    if upload is not None:
        upload.rollouts.add(ingested.rollout)
    return ingested


@contextmanager
def rare_collections() -> Iterator[None]:
    """A graph only grows: looking through all of it for garbage takes a fifth of the time, and finds nothing."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _until_written(bundle: Bundle, progress: Progress, build: Build) -> Ingested:
    """Another process may write the same recording: then this one waits and looks again at what there is."""
    while True:
        match = find(bundle)
        try:
            events = _write_all(bundle, match, progress, build)
        except Overtaken:
            _wait_for_others(key(bundle.manifest.trace_id))
        else:
            said = (sentence(match, events), how_it_ends(match.rollout))
            return Ingested(match.rollout, match.verdict, " ".join(filter(None, said)))


def _write_all(bundle: Bundle, match: Match, progress: Progress, build: Build) -> int:
    """Writes what the rollout does not hold yet; returns how many events that were."""
    rollout = match.rollout
    if rollout.deleted_at is not None:
        # Whoever brings it again wants it back.
        rollout.deleted_at = None
        Rollout.objects.filter(pk=rollout.pk).update(deleted_at=None)
    if match.verdict == "same":
        return 0
    writer = Writer(rollout, bundle)
    with closing(build(bundle, writer.resume())) as built:
        for batch in built:
            writer.write(batch)
            progress(rollout.events)
    return rollout.events - match.events


def _wait_for_others(trace_id: str) -> None:
    """Waits until nobody writes these rollouts any more."""
    before: list[int] | None = None
    while (now := list(Rollout.objects.of_trace(trace_id).values_list("revision", flat=True))) != before:
        before = now
        time.sleep(PATIENCE)


def sentence(match: Match, events: int) -> str:
    """What came of a bundle, for whoever brought it."""
    if match.verdict == "new":
        return f"A new rollout with {count(events)}."
    if match.verdict == "continued":
        return f"It continues a recording that was here already: {count(events)} more, {match.rollout.events:,} now."
    if match.verdict == "other_content":
        return "Another rollout has the same trace id but other content; both are kept, and both say so."
    if match.events < match.rollout.events:
        return f"Nothing new: its {count(match.events)} are the beginning of a recording that is here already."
    return "Nothing new: this recording is here already."


def how_it_ends(rollout: Rollout) -> str:
    """What is wrong with the log of a recording; nothing where it was read to its end."""
    if rollout.stopped:
        what = " ".join(rollout.stopped_what.split())
        return f"Reading stopped at line {rollout.stopped_line}: {what}. What follows is kept as raw events."
    if rollout.tail:
        return (
            f"Its last line is cut off after {count_of(len(rollout.tail), 'byte')}; it is kept and waits for its rest."
        )
    return ""


def count_of(number: int, what: str) -> str:
    """1 event, 2 events."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def count(events: int) -> str:
    """So many events."""
    return count_of(events, "event")
