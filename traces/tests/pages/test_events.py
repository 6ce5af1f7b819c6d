"""Recordings flow in; the log in windows, filtered, with links both ways, and where reading stopped flow out."""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
from django.test import Client

from traces.bundle.reader import Bundle
from traces.ingest import ingest_bundle
from traces.models import Event, Rollout
from traces.tests.fixtures.recordings import recording_folder

Ingested = Callable[[str], Rollout]
Read = Callable[..., str]


@pytest.fixture
def log(ingested: Ingested) -> str:
    return f"{ingested('0.169.0/story').get_absolute_url()}events/"


def test_the_log_is_shown_in_windows(log: str, read: Read) -> None:
    total = Event.objects.count()
    assert f"Events 1–100 of {total}" in read(log)
    assert f"Events 101–{total} of {total}" in read(f"{log}?from=100")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("type=inference_cancelled", 1),
        ("type=inference_failed", 2),
        ("kind=tool_call&object=call_1", 4),
        ("object=call_1&type=tool_call_ended", 1),
        ("type=nonsense", 0),
        ("type=%00", 157),
    ],
)
def test_a_filter_in_the_address(log: str, client: Client, query: str, count: int) -> None:
    body = client.get(f"{log}?{query}").content.decode()
    shown = body.partition("<tbody>")[2].count("<tr class")
    assert shown == min(count, 100)


def test_an_agents_events(log: str, read: Read) -> None:
    thread = Event.objects.exclude(thread_id="").values_list("thread_id", flat=True).last()
    count = Event.objects.filter(thread_id=thread).count()
    assert f"Matching events 1–{min(count, 100)} of {count}" in read(f"{log}?thread={thread}")
    assert "No event matches." in read(f"{log}?thread=nobody")


def test_links_lead_both_ways(log: str, client: Client) -> None:
    start = log.removesuffix("events/")
    assert f'href="{start}inferences/9/"' in client.get(f"{log}?type=inference_cancelled").content.decode()
    tool = client.get(f"{start}tools/call_1/").content.decode()
    assert f'href="{log}?kind=tool_call&amp;object=call_1"' in tool
    event = client.get(f"{log}82/").content.decode()
    assert "Events about the same object" in event


def test_the_next_window_keeps_the_filter(log: str, client: Client) -> None:
    thread = Event.objects.exclude(thread_id="").values_list("thread_id", flat=True).first()
    if Event.objects.filter(thread_id=thread).count() <= 100:
        Event.objects.update(thread_id=thread)
    body = client.get(f"{log}?thread={thread}").content.decode()
    assert f'href="?thread={thread}&amp;from=100"' in body


def test_where_reading_stopped_and_what_came_after(db: None, tmp_path: Path, read: Read) -> None:
    folder = tmp_path / "broken"
    copytree(recording_folder("0.169.0/retried"), folder)
    lines = (folder / "trace.jsonl").read_text().splitlines(keepends=True)
    lines[9] = "no json at all\n"
    (folder / "trace.jsonl").write_text("".join(lines))
    rollout = ingest_bundle(Bundle(folder)).rollout
    page = read(f"{rollout.get_absolute_url()}events/")
    assert "Reading stopped — line 10 could not be applied:" in page
    assert f"Reading stopped here {rollout.stopped_what}" in page
    assert page.count("kept raw") == len(lines) - 10
    assert "no json at all" in read(f"{rollout.get_absolute_url()}lines/10/")
    assert "line 10 could not be applied" in read(f"{rollout.get_absolute_url()}events/?type=inference_started")
