"""Rollouts with a time of their last event flow in; the page of what runs, and the words for silence, flow out."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from traces.models import Node, Rollout
from traces.templatetags.liveness import silence

Ingested = Callable[[str], Rollout]
Read = Callable[..., str]
RUNNING = "0.169.0/killed"  # its second inference never ended


def heard(rollout: Rollout, seconds: float, **columns: str) -> None:
    Rollout.objects.filter(pk=rollout.pk).update(heard_at=timezone.now() - timedelta(seconds=seconds), **columns)


def test_nothing_runs(db: None, read: Read, client: Client) -> None:
    page = read("/live/")
    assert "Nothing runs now." in page
    for way in ("CODEX_ROLLOUT_TRACE_ROOT", "manage.py watch DIR", "Play a live sample"):
        assert way in page
    assert "To all rollouts" not in page
    assert "<title>Nothing runs now" in client.get("/live/").content.decode()


def test_a_recording_that_nobody_follows_does_not_run(ingested: Ingested, read: Read) -> None:
    ingested(RUNNING)
    page = read("/live/")
    assert "Nothing runs now." in page
    assert "To all rollouts" in page


def test_what_runs_says_what_is_open(ingested: Ingested, read: Read, client: Client) -> None:
    rollout = ingested(RUNNING)
    heard(rollout, 1)
    page = read("/live/")
    assert "Running now 1 session" in page
    assert f"{rollout.title} Live Inference 2 since " in page
    assert "1 completed 1 running" in page
    body = client.get("/live/").content.decode()
    call = Node.objects.get(rollout=rollout, kind="inference_call", number=2)
    assert f'data-started-ms="{call.started_at_ms}"' in body
    assert "<title>● Live: 1 session" in body


def test_the_newest_activity_is_first(ingested: Ingested, client: Client) -> None:
    first, second = ingested(RUNNING), ingested("0.125.0/interactive")
    Rollout.objects.update(status="running")
    for quiet, busy in ((first, second), (second, first)):
        heard(quiet, 400)
        heard(busy, 2)
        body = client.get("/live/").content.decode()
        assert body.index(f"session-{busy.public_id}") < body.index(f"session-{quiet.public_id}")
        assert "Quiet for 6 min" in body


def test_a_session_between_two_tasks_waits(ingested: Ingested, read: Read, client: Client) -> None:
    heard(ingested(RUNNING), 1)
    Node.objects.exclude(kind="thread").update(status="completed")
    assert "Nothing is open: it waits for its next task." in read("/live/")
    assert "<title>Live: 1 session" in client.get("/live/").content.decode()


@pytest.mark.parametrize(
    ("gone", "why"),
    [("closed", "No process holds its log open any more."), ("vanished", "Its folder is gone.")],
)
def test_what_stopped_without_an_end_stands_apart(ingested: Ingested, read: Read, gone: str, why: str) -> None:
    heard(ingested(RUNNING), 600, gone=gone)
    page = read("/live/")
    assert "Nothing runs now." in page
    assert "Stopped without an end" in page
    assert why in page
    assert page.index("Stale") < page.index(why)


def test_what_ended_or_was_deleted_is_not_there(ingested: Ingested, read: Read) -> None:
    rollout = ingested(RUNNING)
    heard(rollout, 1)
    Rollout.objects.update(status="completed")
    assert "Nothing runs now." in read("/live/")
    Rollout.objects.update(status="running", deleted_at=timezone.now())
    assert "Nothing runs now." in read("/live/")


def test_queries_do_not_grow_with_the_sessions(ingested: Ingested, client: Client) -> None:
    taken = []
    for name in (RUNNING, "0.125.0/interactive", "0.169.0/story"):
        heard(ingested(name), 1)
        Rollout.objects.update(status="running")
        with CaptureQueriesContext(connection) as queries:
            client.get("/live/")
        taken.append(len(queries))
    assert len(set(taken)) == 1
    assert taken[0] <= 6


def test_the_navigation_counts(ingested: Ingested, client: Client) -> None:
    rollout = ingested(RUNNING)
    for address in ("/", rollout.get_absolute_url(), "/live/"):
        assert '<span class="dim" id="running-count"></span>' in client.get(address).content.decode()
    heard(rollout, 1)
    for address in ("/", rollout.get_absolute_url(), "/live/"):
        assert '<span class="dim" id="running-count"> 1<span' in client.get(address).content.decode()


def test_an_error_page_counts_nothing(client: Client) -> None:
    """The database may be what is broken."""
    assert "There is nothing here." in client.get("/no-such-page/").content.decode()


def test_the_head_of_a_rollout(ingested: Ingested, read: Read, client: Client) -> None:
    rollout = ingested(RUNNING)
    address = rollout.get_absolute_url()
    assert "last event" not in read(address)
    assert "data-follow" not in client.get(address).content.decode()
    assert "Problems first" in read(address)
    heard(rollout, 1)
    assert "Live 1 inference open last event" in read(address)
    assert "Problems first" not in read(address)
    assert 'data-follow aria-pressed="true"' in client.get(address).content.decode()
    assert 'data-follow aria-pressed="false"' in client.get(f"{address}?row=1").content.decode()
    heard(rollout, 100)
    assert "Quiet for 1 min 1 inference open" in read(address)
    heard(rollout, 100, gone="succeeded")
    assert "Stale A later recording of the same session began. 1 inference open" in read(address)
    assert "Problems first" in read(address)
    Rollout.objects.update(status="completed")
    assert "Ended last event" in read(address)
    assert "data-follow" not in client.get(address).content.decode()


def test_a_running_call_has_no_end_yet(ingested: Ingested, read: Read) -> None:
    rollout = ingested(RUNNING)
    address = f"{rollout.get_absolute_url()}inferences/2/"
    assert "Running — the recording stops here" in read(address)
    heard(rollout, 1)
    page = read(address)
    assert "Running — no end yet" in page
    assert "Output so far No item is complete yet." in page
    assert "the recording stops here" not in page.lower()


def test_the_list_says_what_is_live(ingested: Ingested, read: Read) -> None:
    rollout = ingested(RUNNING)
    assert "Running Live" not in read("/")
    heard(rollout, 1)
    assert "Running Live" in read("/")
    heard(rollout, 90)
    assert "Running Quiet for 1 min" in read("/")


def test_a_title_is_text(ingested: Ingested, client: Client) -> None:
    heard(ingested(RUNNING), 1)
    Rollout.objects.update(title="<script>alert(1)</script>")
    Node.objects.update(title="<img src=x>")
    body = client.get("/live/").content.decode()
    assert "<script>alert" not in body
    assert "<img src=x" not in body


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s"), (0.9, "0 s"), (59, "59 s"), (61, "1 min"), (3_600, "1 h"), (7_500, "2 h 5 min"), (200_000, "2 days")],
)
def test_silence_as_people_say_it(seconds: float, said: str) -> None:
    assert silence(timedelta(seconds=seconds)) == said
