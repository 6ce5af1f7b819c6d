"""A recording that grows under our eyes: the rows are those of an upload, whatever interrupts the reading."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from traces.ingest import checkpoints, following, ingest_bundle, state_of
from traces.ingest.following import Following, Leased, follow, has_ended, owner_here, read_to_its_end
from traces.ingest.writer import Overtaken
from traces.models import Rollout
from traces.tests.ingest.dumps import LIVE, dump
from traces.tests.ingest.recordings import Copy, expected

pytestmark = pytest.mark.django_db
NAMES = ["0.169.0/story", "0.169.0/code_mode", "0.128.0/agents", "0.152.0/compacted_inline"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, settings: Settings) -> None:
    settings.TRACESITE_DATA = tmp_path / "data"
    settings.TRACESITE_DATA.mkdir()


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after each step."""
    monkeypatch.setattr(following, "CHECKPOINT_EVENTS", 1)
    monkeypatch.setattr(following, "CHECKPOINT_PART", 1e9)


def begun(copy: Copy, owner: str = "me") -> Following:
    """It, followed."""
    found = follow(copy.folder, owner)
    assert found is not None
    return found


def whole(name: str, folder: Path) -> object:
    """The rows of an upload of all of it."""
    rows = dump(ingest_bundle(Copy(name, folder).bundle).rollout, without=LIVE)
    Rollout.objects.all().delete()
    return rows


@pytest.mark.parametrize("name", NAMES)
def test_event_by_event_the_rows_are_those_of_an_upload(name: str, tmp_path: Path) -> None:
    rows = whole(name, tmp_path / "whole")
    copy = Copy(name, tmp_path)
    copy.cut(0)
    one = begun(copy)
    for count in range(1, len(copy.lines) + 1):
        copy.cut(count)
        assert one.step() == 1
    assert one.over
    one.end()
    assert dump(Rollout.objects.get(), without=LIVE) == rows
    assert state_of(Rollout.objects.get()) == expected(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_restart_after_every_few_events_goes_on_from_the_checkpoint(name: str, tmp_path: Path, often: None) -> None:
    rows = whole(name, tmp_path / "whole")
    copy = Copy(name, tmp_path)
    for count in range(1, len(copy.lines) + 7, 7):
        copy.cut(count)
        one = begun(copy)
        assert one.step()
        saved = checkpoints.load(one.rollout.public_id)
        assert saved is not None
        assert saved.mark.events == one.rollout.events
    one.end()
    assert dump(Rollout.objects.get(), without=LIVE) == rows


def test_a_checkpoint_behind_the_rows_is_caught_up_with(tmp_path: Path, often: None) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    copy.cut(50)
    one = begun(copy)
    one.step()
    saved = checkpoints.load(one.rollout.public_id)
    assert saved is not None
    copy.cut(90)
    one.step()
    checkpoints.save(one.rollout.public_id, saved)
    copy.cut(len(copy.lines))
    again = begun(copy)
    assert again.rollout.events == 90
    again.step()
    again.end()
    assert state_of(Rollout.objects.get()) == expected("0.169.0/story")


def test_a_checkpoint_of_other_code_is_not_used(tmp_path: Path, often: None, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    copy.cut(50)
    one = begun(copy)
    one.step()
    assert checkpoints.load(one.rollout.public_id) is not None
    monkeypatch.setattr(checkpoints, "_made_by", lambda: b"another version")
    assert checkpoints.load(one.rollout.public_id) is None
    copy.cut(len(copy.lines))
    again = begun(copy)
    again.step()
    again.end()
    assert state_of(Rollout.objects.get()) == expected("0.169.0/story")


@pytest.mark.parametrize("damage", [b"", b"garbage", b"\x80\x05."])
def test_a_damaged_checkpoint_is_no_harm(damage: bytes, tmp_path: Path, often: None) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    copy.cut(50)
    begun(copy).step()
    for path in (tmp_path / "data" / "checkpoints").iterdir():
        path.write_bytes(damage and path.read_bytes()[:32] + damage)
    copy.cut(60)
    assert begun(copy).step() == 10


def test_a_torn_line_waits_for_its_rest_even_inside_of_a_character(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    odd = copy.lines[60].replace(b'"seq"', '"ü":"漢字","seq"'.encode())
    copy.lines[60] = odd
    one = None
    for cut in range(1, len(odd)):
        copy.cut(60, odd[:cut])
        one = one or begun(copy)
        assert one.step() == (60 if cut == 1 else 0)
    assert one is not None
    copy.cut(61)
    assert one.step() == 1
    assert (one.rollout.events, one.rollout.stopped_what) == (61, "")


def test_a_line_that_reads_like_an_event_waits_for_its_end(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    copy.cut(3, copy.lines[3].rstrip(b"\n"))
    one = begun(copy)
    assert one.step() == 3
    one.end()
    assert one.rollout.events == 4


def test_one_process_at_a_time(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    copy.cut(50)
    mine = begun(copy)
    mine.step()
    with pytest.raises(Leased):
        follow(copy.folder, "another")
    Rollout.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    theirs = begun(copy, "another")
    copy.cut(60)
    assert theirs.step() == 10
    copy.cut(70)
    with pytest.raises(Overtaken):
        mine.step()


def test_the_lease_of_a_killed_process_is_nobodys(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    copy.cut(50)
    process = subprocess.Popen(["true"])
    alive, dead = owner_here(), owner_here().replace(str(os.getpid()), str(process.pid))
    process.wait()
    for owner, ended in ((alive, False), (dead, True), ("1@another machine", False), ("", False)):
        assert has_ended(owner) is ended
    begun(copy, dead).step()
    assert begun(copy, alive).owner == alive


def test_what_is_deleted_meanwhile_stays_deleted(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    copy.cut(50)
    one = begun(copy)
    one.step()
    now = timezone.now()
    Rollout.objects.update(deleted_at=now)
    copy.cut(60)
    one.step()
    assert Rollout.objects.get().deleted_at == now


def test_what_is_read_to_its_end_is_told_by_its_size(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    copy.cut(50)
    one = begun(copy)
    one.step()
    assert read_to_its_end(copy.folder) is None
    one.end("closed")
    assert read_to_its_end(copy.folder) == one.rollout
    copy.cut(60)
    assert read_to_its_end(copy.folder) is None
    again = begun(copy)
    assert again.step() == 10
    assert (again.rollout.gone, again.rollout.liveness(timezone.now()).word) == ("", "live")  # type: ignore[union-attr]


def test_when_it_was_heard_last_is_when_it_was_written(tmp_path: Path) -> None:
    copy = Copy("0.169.0/story", tmp_path)
    copy.cut(50)
    hours_ago = timezone.now() - timedelta(hours=2)
    os.utime(copy.log, (hours_ago.timestamp(), hours_ago.timestamp()))
    one = begun(copy)
    one.step()
    assert one.rollout.heard_at is not None
    assert abs(one.rollout.heard_at - hours_ago) < timedelta(seconds=1)
    found = one.rollout.liveness(timezone.now())
    assert found is not None
    assert found.word == "stale"
