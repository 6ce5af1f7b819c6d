"""A bundle on disk flows in, its reduction flows out: strict like the reference, or as far as it goes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import msgspec

from traces.bundle.errors import BundleError
from traces.bundle.events import Event, RecordingCompleted, decode_event
from traces.bundle.reader import Bundle, Line
from traces.reducer.errors import ReductionError
from traces.reducer.reduction import Reducer


class Stopped(msgspec.Struct, frozen=True):
    """The first event that could not be applied: what is wrong, its seq (None where it has none), its line."""

    what: str
    seq: int | None
    line: int


def read_event(line: Line) -> Event:
    """The event on a line; raises ReductionError with the line's number."""
    try:
        return decode_event(line.data)
    except BundleError as error:
        raise ReductionError(str(error), line=line.number) from error


def events(bundle: Bundle) -> Iterator[tuple[Event, int]]:
    """The events of a bundle with the numbers of their lines.

    A `recording_completed` without its line end is not there yet: 0.169.0 does not count it either.
    """
    for line in bundle.lines():
        event = read_event(line)
        if line.complete or not isinstance(event.payload, RecordingCompleted):
            yield event, line.number


def new_reducer(bundle: Bundle) -> Reducer:
    """A reducer that reads the payloads of a bundle."""
    return Reducer(bundle.manifest, lambda ref: bundle.payload(ref.path))


def reduce_strict(bundle: Bundle) -> Reducer:
    """Reduces a whole bundle; raises ReductionError or BundleError where the reference refuses it."""
    reducer = new_reducer(bundle)
    for event, line in events(bundle):
        reducer.apply(event, line)
    reducer.finish()
    return reducer


def reduce_lenient(bundle: Bundle) -> tuple[Reducer, Stopped | None]:
    """Reduces up to the first event that cannot be applied, and says which that is."""
    reducer = new_reducer(bundle)
    applied = 0
    try:
        for event, line in events(bundle):
            reducer.apply(event, line)
            applied += 1
    except ReductionError as error:
        return _first(bundle, applied), Stopped(error.what, error.seq, error.line)
    reducer.finish()
    return reducer, None


def _first(bundle: Bundle, count: int) -> Reducer:
    """The reduction of the first events only: one that failed may have left something of itself behind."""
    reducer = new_reducer(bundle)
    for event, line in islice(events(bundle), count):
        reducer.apply(event, line)
    reducer.finish()
    return reducer
