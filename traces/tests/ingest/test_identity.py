"""Which rollout a bundle belongs to: the same, a longer or shorter recording, or other content under the same name."""

import json
from pathlib import Path

import pytest

from traces.bundle.events import decode_event
from traces.ingest import ingest_bundle, state_of
from traces.ingest.identity import find
from traces.ingest.pipe import _write_all, no_progress
from traces.ingest.writer import Overtaken
from traces.models import Rollout
from traces.reducer import Reducer
from traces.tests.ingest.dumps import dump
from traces.tests.ingest.recordings import Bundle, Copy, by, expected

pytestmark = pytest.mark.django_db

GROWING = [
    ("0.169.0/story", 11),
    ("0.169.0/agents_namespaced", 3),
    ("0.128.0/agents", 3),
    ("0.125.0/interactive", 1),
    ("0.128.0/cancelled_late", 1),
    ("0.169.0/code_mode", 2),
    ("0.152.0/compacted_inline", 2),
    ("0.169.0/terminal", 2),
    ("0.169.0/retried", 2),
]


def graph_of(bundle: Bundle) -> dict[str, object]:
    """What the reducer makes of a bundle without any rows."""
    reducer = Reducer(bundle.manifest, lambda ref: bundle.payload(ref.path))
    for line in bundle.lines():
        reducer.apply(decode_event(line.data), line.number)
    reducer.finish()
    state: dict[str, object] = json.loads(reducer.state())
    return state


@pytest.mark.parametrize(("name", "step"), GROWING)
def test_a_recording_that_grows_gives_the_rows_of_the_whole(name: str, step: int, tmp_path: Path) -> None:
    copy = Copy(name, tmp_path)
    whole = dump(ingest_bundle(copy.bundle).rollout, without=("revision",))
    Rollout.objects.all().delete()
    verdicts = []
    for events in [*range(0, len(copy.lines), step), len(copy.lines)]:
        ingested = ingest_bundle(copy.cut(events))
        verdicts.append(ingested.verdict)
        assert state_of(ingested.rollout) == graph_of(copy.bundle), f"after {events} events"
    assert verdicts == ["new"] + ["continued"] * (len(verdicts) - 1)
    assert state_of(Rollout.objects.get()) == expected(name)
    assert dump(Rollout.objects.get(), without=("revision",)) == whole


def test_the_same_bundle_again_opens_the_rollout_that_is_there(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    first, again = ingest_bundle(copy.bundle), ingest_bundle(copy.bundle)
    assert again.verdict == "same"
    assert again.rollout == first.rollout == Rollout.objects.get()
    assert again.rollout.revision == first.rollout.revision


@pytest.mark.parametrize("events", [0, 1, 50, 155])
def test_the_beginning_of_a_recording_adds_nothing(events: int, tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    whole = ingest_bundle(copy.bundle).rollout
    shorter = ingest_bundle(copy.cut(events))
    assert (shorter.verdict, shorter.rollout) == ("same", whole)
    assert "beginning" in shorter.sentence
    assert state_of(whole) == expected("0.169.0/story")


def test_other_content_under_the_same_trace_id_is_kept_beside(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    first = ingest_bundle(copy.bundle).rollout
    *lines, last = copy.lines
    other = ingest_bundle(copy.with_log(*lines, last.replace(b'"seq":156', b'"seq": 156')))
    assert other.verdict == "other_content"
    assert other.rollout != first
    first.refresh_from_db()
    assert first.note == other.rollout.note != ""
    assert ingest_bundle(copy.cut(len(copy.lines))).rollout == first


def test_a_payload_that_differs_is_other_content(tmp_path: Path) -> None:
    copy = Copy("0.169.0/completed", tmp_path)
    first = ingest_bundle(copy.bundle).rollout
    payload = copy.folder / "payloads" / "1.json"
    payload.write_bytes(payload.read_bytes() + b"\n")
    assert ingest_bundle(copy.bundle).rollout != first


def test_a_torn_last_line_is_no_event_yet(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    for cut in (1, 30, len(copy.lines[60]) - 1):
        rollout = ingest_bundle(copy.cut(60, torn=copy.lines[60][:cut])).rollout
        if cut < len(copy.lines[60]) - 1:
            assert (rollout.events, rollout.stopped_what) == (60, "")
    whole = ingest_bundle(copy.cut(len(copy.lines)))
    assert whole.verdict == "continued"
    assert state_of(whole.rollout) == expected("0.169.0/story")
    assert (bytes(whole.rollout.rest), bytes(whole.rollout.tail)) == (b"\n", b"")


def test_two_uploads_of_one_bundle_at_once_make_one_rollout(tmp_path: Path) -> None:
    bundle = Copy("0.169.0/story", tmp_path).bundle
    mine, theirs = find(bundle), find(bundle)
    assert mine.verdict == theirs.verdict == "new"
    _write_all(bundle, theirs, no_progress, by(20))
    with pytest.raises(Overtaken):
        _write_all(bundle, mine, no_progress, by(20))
    assert ingest_bundle(bundle).verdict == "same"
    assert Rollout.objects.count() == 1


def test_whoever_is_overtaken_leaves_no_half_rows(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    ingest_bundle(copy.cut(60))
    bundle = copy.cut(len(copy.lines))
    mine, theirs = find(bundle), find(bundle)
    assert mine.verdict == theirs.verdict == "continued"
    _write_all(bundle, theirs, no_progress, by(30))
    before = dump(Rollout.objects.get())
    with pytest.raises(Overtaken):
        _write_all(bundle, mine, no_progress, by(30))
    assert dump(Rollout.objects.get()) == before
    assert state_of(Rollout.objects.get()) == expected("0.169.0/story")
