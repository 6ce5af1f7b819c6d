"""Folders in which recordings grow, stop growing and go away: the rows follow, and say what is known of the writer."""

import os
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from traces import watch
from traces.bundle.held import held_open
from traces.bundle.manifest import LOG_NAME
from traces.ingest import ingest_bundle, state_of
from traces.models import Rollout
from traces.tests.ingest.recordings import Copy, expected
from traces.watch import Watcher, bundles_below

pytestmark = pytest.mark.django_db
STORY = "0.169.0/story"
PATIENCE = 20


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, settings: Settings) -> None:
    settings.TRACESITE_DATA = tmp_path / "data"
    settings.TRACESITE_DATA.mkdir()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that a client records into."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


def the_rollout() -> Rollout:
    """The only one."""
    return Rollout.objects.get()


def test_bundles_are_found_where_clients_leave_them(root: Path) -> None:
    for place in ("a", "b/c", "b/d/e/f/g"):
        Copy(STORY, root / place)
    (root / "link").symlink_to(root / "a")
    found = [path.relative_to(root).parts for path in bundles_below(root, watch.DEPTH)]
    assert found == [("a", "0.169.0-story"), ("b", "c", "0.169.0-story")]
    assert list(bundles_below(root / "nothing", 3)) == []


def test_old_recordings_are_there_at_once_and_not_read_again(root: Path) -> None:
    names = (STORY, "0.128.0/agents", "0.169.0/killed")
    for name in names:
        Copy(name, root)
    watcher = Watcher([root])
    watcher.round()
    # The killed one has no end: that nobody writes it any more is found out when its log has been read.
    watcher.due.clear()
    watcher.round()
    states = {rollout.trace_id: state_of(rollout) for rollout in Rollout.objects.all()}
    assert states == {state["trace_id"]: state for state in map(expected, names)}
    revisions = set(Rollout.objects.values_list("pk", "revision"))
    Watcher([root]).round()
    assert set(Rollout.objects.values_list("pk", "revision")) == revisions


def test_what_was_uploaded_before_is_read_once(root: Path) -> None:
    uploaded = ingest_bundle(Copy(STORY, root).bundle).rollout
    Watcher([root]).round()
    revision = the_rollout().revision
    Watcher([root]).round()
    assert (the_rollout().pk, the_rollout().revision) == (uploaded.pk, revision)
    assert the_rollout().liveness(timezone.now()) is None
    assert state_of(the_rollout()) == expected(STORY)


def test_a_recording_grows(root: Path) -> None:
    watcher = Watcher([root])
    watcher.round()
    copy = Copy(STORY, root)
    for count in (0, 1, 60, 61, 61, len(copy.lines)):
        copy.cut(count)
        watcher.due.clear()
        watcher.round()
        assert (Rollout.objects.get().events if count else Rollout.objects.count()) == count
    assert state_of(the_rollout()) == expected(STORY)


def test_an_upload_of_the_same_recording_meanwhile(root: Path, tmp_path: Path) -> None:
    watcher = Watcher([root])
    copy = Copy(STORY, root)
    copy.cut(60)
    watcher.round()
    other = Copy(STORY, tmp_path / "other")
    ingest_bundle(other.cut(100))
    copy.cut(len(copy.lines))
    deadline = time.monotonic() + PATIENCE
    while the_rollout().events < len(copy.lines):
        assert time.monotonic() < deadline
        watcher.round()
    assert state_of(the_rollout()) == expected(STORY)


def be_silent(watcher: Watcher) -> None:
    """As if all logs had been written a minute ago."""
    for found, _ in watcher._followed():
        os.utime(found.folder / LOG_NAME, (time.time() - 60, time.time() - 60))
    watcher.round()


def judged(watcher: Watcher) -> str:
    """What the watcher says of a recording that has been silent for long enough."""
    rollout = the_rollout()
    be_silent(watcher)
    watcher.judge()
    rollout.refresh_from_db()
    return rollout.gone


def test_a_writer_that_is_still_there_is_only_quiet(root: Path) -> None:
    copy = Copy(STORY, root)
    copy.cut(60)
    watcher = Watcher([root])
    watcher.round()
    with copy.log.open("ab"):
        assert held_open([copy.log]) == {copy.log}
        assert judged(watcher) == ""
    assert held_open([copy.log]) == set()
    assert judged(watcher) == "closed"
    assert the_rollout().liveness(timezone.now()).word == "stale"  # type: ignore[union-attr]


def test_it_becomes_live_again_by_itself(root: Path) -> None:
    copy = Copy(STORY, root)
    copy.cut(60)
    watcher = Watcher([root])
    watcher.round()
    assert judged(watcher) == "closed"
    copy.cut(70)
    watcher.round()
    assert (the_rollout().gone, the_rollout().events) == ("", 70)
    assert the_rollout().liveness(timezone.now()).word == "live"  # type: ignore[union-attr]


def test_a_folder_that_vanishes(root: Path) -> None:
    copy = Copy(STORY, root)
    copy.cut(60)
    watcher = Watcher([root])
    watcher.round()
    before = the_rollout().revision
    shutil.rmtree(copy.folder)
    watcher.due.clear()
    watcher.round()
    assert (the_rollout().gone, the_rollout().events) == ("vanished", 60)
    assert the_rollout().revision > before


def test_a_later_recording_of_the_same_session(root: Path) -> None:
    copy = Copy(STORY, root)
    copy.cut(60)
    watcher = Watcher([root])
    watcher.round()
    mine = the_rollout()
    later = Rollout.objects.get(pk=mine.pk)
    later.pk, later.public_id, later.trace_id = None, "later", "another recording"
    later.started_at += timedelta(minutes=5)
    later.save(force_insert=True)
    with copy.log.open("ab"):
        be_silent(watcher)
        watcher.judge()
    mine.refresh_from_db()
    assert mine.gone == "succeeded"


def test_what_somebody_deletes_is_not_followed_any_more(root: Path) -> None:
    copy = Copy(STORY, root)
    copy.cut(60)
    watcher = Watcher([root])
    watcher.round()
    Rollout.objects.update(deleted_at=timezone.now())
    watcher.renew()
    copy.cut(70)
    watcher.due.clear()
    watcher.round()
    assert the_rollout().events == 60


def test_a_manifest_that_cannot_be_read_is_tried_again(root: Path) -> None:
    copy = Copy(STORY, root)
    manifest = (copy.folder / "manifest.json").read_bytes()
    (copy.folder / "manifest.json").write_bytes(manifest[:20])
    watcher = Watcher([root])
    watcher.round()
    assert not Rollout.objects.exists()
    (copy.folder / "manifest.json").write_bytes(manifest)
    deadline = time.monotonic() + PATIENCE
    while not Rollout.objects.exists():
        assert time.monotonic() < deadline
        watcher.round()


def test_where_changes_are_not_told_it_looks_itself(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_watches(*_: object, **__: object) -> Iterator[object]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watch, "watch", no_watches)
    monkeypatch.setattr(watch, "POLL_EVERY", 0.001)
    watcher = Watcher([root])
    assert list(islice(watcher._ticks(), 100)) == [True] + [False] * 99
    watcher.stop()


def test_a_folder_that_is_not_there_yet(root: Path) -> None:
    watcher = Watcher([root / "later"])
    copy = Copy(STORY, root)
    ticks = watcher._ticks()
    next(ticks)
    watcher.round()
    (root / "later").mkdir()
    copy.folder.rename(root / "later" / "trace-1")
    deadline = time.monotonic() + PATIENCE
    while not Rollout.objects.exists():
        assert time.monotonic() < deadline
        watcher.round(next(ticks))
    watcher.stop()
    assert state_of(the_rollout()) == expected(STORY)
