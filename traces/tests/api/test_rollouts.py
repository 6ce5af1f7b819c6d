"""Queries and keys flow in; lists, one rollout, its calls and sentences on what is wrong flow out as JSON."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from traces.models import Rollout
from traces.sharing import undoable_for
from traces.tests.api.conftest import ROLLOUTS, body_of

pytestmark = pytest.mark.django_db
Ingest = Callable[[str], Rollout]
Ask = Callable[..., Any]
SOME = ("0.169.0/story", "0.169.0/killed", "0.128.0/cancelled_late", "0.125.0/interactive", "0.169.0/failed_http")


@pytest.fixture
def some(ingested: Ingest) -> dict[str, Rollout]:
    return {name: ingested(name) for name in SOME}


def keys(found: Any) -> set[str]:
    return {row["key"] for row in found["results"]}


def test_the_list_is_the_newest_first(some: dict[str, Rollout], ask: Ask) -> None:
    found = ask(ROLLOUTS)
    assert found["count"] == len(some)
    assert (found["next"], found["previous"]) == (None, None)
    started = [row["started_at"] for row in found["results"]]
    assert started == sorted(started, reverse=True)
    assert keys(found) == {rollout.public_id for rollout in some.values()}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=running", {"0.169.0/killed"}),
        ("calls=cancelled&calls=failed", {"0.169.0/story", "0.128.0/cancelled_late", *SOME[3:]}),
        ("model=no-such-model", set()),
        ("since=2999-01-01", set()),
        ("until=2999-01-01", set(SOME)),
        ("", set(SOME)),
    ],
)
def test_filters(some: dict[str, Rollout], ask: Ask, query: str, names: set[str]) -> None:
    assert keys(ask(f"{ROLLOUTS}?{query}")) == {some[name].public_id for name in names}


def test_filters_by_what_a_rollout_says(some: dict[str, Rollout], ask: Ask) -> None:
    story = some["0.169.0/story"]
    word = story.title.split()[0]
    assert story.public_id in keys(ask(f"{ROLLOUTS}?q={word}"))
    assert keys(ask(f"{ROLLOUTS}?session={story.rollout_id}")) == {story.public_id}
    assert story.public_id in keys(ask(f"{ROLLOUTS}?model={story.model}"))
    assert story.public_id in keys(
        ask(f"{ROLLOUTS}?since={story.started_at:%Y-%m-%d}&until={story.started_at:%Y-%m-%d}")
    )


def test_pages_follow_each_other(some: dict[str, Rollout], ask: Ask) -> None:
    address, seen = f"{ROLLOUTS}?limit=2&sort=title", []
    while address:
        page = ask(address)
        assert page["count"] == len(some)
        seen += [row["key"] for row in page["results"]]
        address = page["next"]
        assert not address or urlsplit(address).netloc == "testserver"
    assert len(seen) == len(set(seen)) == len(some)
    titles = [Rollout.objects.get(public_id=key).title.lower() for key in seen]
    assert titles == sorted(titles)
    assert page["previous"]
    assert len(keys(ask(page["previous"]))) == 2


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("status=broken", "status is one of"),
        ("sort=beauty", "sort is one of"),
        ("since=yesterday", "since is a date"),
        ("limit=0", "limit is a number from 1 to 500"),
        ("limit=99999", "limit is a number"),
        ("from=-1", "from is a number"),
        ("colour=red", "There is no “colour”"),
    ],
)
def test_what_makes_no_sense_is_said(ask: Ask, query: str, said: str) -> None:
    wrong = ask(f"{ROLLOUTS}?{query}", status=400)
    assert set(wrong) == {"error", "status"}
    assert said in wrong["error"]


def test_one_rollout(ingested: Ingest, ask: Ask, client: Client) -> None:
    rollout = ingested("0.169.0/story")
    found = ask(f"{ROLLOUTS}{rollout.public_id}/")
    assert (found["key"], found["title"], found["status"]) == (rollout.public_id, rollout.title, "completed")
    assert (found["trace_id"], found["rollout_id"]) == (rollout.trace_id, rollout.rollout_id)
    assert found["inferences"] == rollout.counts
    assert found["counts"]["inference_call"] == {status: count for status, count in rollout.counts.items() if count}
    assert found["tokens"]["input"] == rollout.tokens_in
    assert (found["events"], found["stopped"], found["events_after_stop"]) == (156, None, 0)
    assert found["conversation_items"] == rollout.conversation_items.count()
    assert found["bytes_recorded"] > 0
    for address in found["urls"].values():
        answer = client.get(urlsplit(address).path)
        assert answer.status_code == 200, address
        if answer.streaming:
            body_of(answer)


def test_recordings_of_one_session_know_each_other(ingested: Ingest, ask: Ask) -> None:
    first, second = ingested("0.169.0/killed"), ingested("0.169.0/story")
    Rollout.objects.filter(pk=second.pk).update(rollout_id=first.rollout_id)
    assert ask(f"{ROLLOUTS}{first.public_id}/")["same_session"] == [second.public_id]


def test_calls_say_how_they_ended_and_how_that_is_known(ingested: Ingest, ask: Ask) -> None:
    story = ingested("0.169.0/story")
    calls = ask(f"{ROLLOUTS}{story.public_id}/inferences/")
    assert calls["count"] == story.inferences
    assert [call["number"] for call in calls["results"]] == list(range(1, calls["count"] + 1))
    failed = ask(f"{ROLLOUTS}{story.public_id}/inferences/?status=failed")
    assert failed["count"] == story.counts["failed"] > 0
    for call in failed["results"]:
        assert call["error"]
        assert call["reason"] is None
        assert call["evidence"]["kind"] == "observed"
        assert call["evidence"]["event"] == "inference_failed"
        assert call["evidence"]["seq"] == call["ended_seq"]
    cancelled = ask(f"{ROLLOUTS}{story.public_id}/inferences/?status=cancelled")["results"]
    assert all(call["reason"] and call["error"] is None for call in cancelled)


def test_a_late_end_is_told(ingested: Ingest, ask: Ask) -> None:
    rollout = ingested("0.128.0/cancelled_late")
    calls = ask(f"{ROLLOUTS}{rollout.public_id}/inferences/?status=cancelled")["results"]
    (late,) = [call for call in calls if call["late"]]
    assert late["evidence"]["kind"] == "turn_end"
    assert late["late"]["event"] == "inference_cancelled"
    assert late["late"]["seq"] > late["ended_seq"]


def test_deleting_can_be_undone_for_a_while(ingested: Ingest, ask: Ask, client: Client, rf: Any) -> None:
    rollout = ingested("0.169.0/killed")
    address = f"{ROLLOUTS}{rollout.public_id}/"
    answer = client.delete(address)
    assert (answer.status_code, answer.content) == (204, b"")
    assert list(undoable_for(rf.get("/"))) == [rollout]
    assert ask(ROLLOUTS)["count"] == 0
    for gone in (address, f"{address}state.json", f"{address}bundle.tar.zst", f"{address}inferences/"):
        assert "no rollout" in ask(gone, status=404)["error"]
    assert client.delete(address).status_code == 404
