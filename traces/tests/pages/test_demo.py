"""Presses of the button flow in, live samples on disk and sentences flow out."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.test import Client, override_settings
from django.urls import reverse

from traces import demo
from traces.bundle.manifest import LOG_NAME
from traces.pages.demo import live
from traces.tests.pages.conftest import words
from traces.tests.pages.test_rollouts import rollout

pytestmark = pytest.mark.django_db
PATIENCE = 20


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a live sample in a test."""
    monkeypatch.setattr(demo, "SPEED", 2000.0)


@pytest.fixture
def busy() -> Iterator[None]:
    """As many play as may."""
    with ExitStack() as held:
        for _ in range(demo.AT_ONCE):
            held.enter_context(demo.room)
        yield


def ended() -> int:
    """How many live samples lie there to their end."""
    logs = demo.folder().glob(f"trace-*/{LOG_NAME}")
    return sum("recording_completed" in log.read_text() for log in logs)


@pytest.mark.usefixtures("quick")
def test_the_button_starts_one(client: Client) -> None:
    before = ended()
    answer = client.post("/demo/")
    assert (answer.status_code, answer["Location"]) == (302, live())
    deadline = time.monotonic() + PATIENCE
    while ended() == before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ended() == before + 1


def test_the_empty_page_offers_it(client: Client) -> None:
    page = client.get("/")
    assert "Open the sample traces or Play a live sample" in words(page)
    assert f'formaction="{reverse("demo")}"' in page.content.decode()


def test_three_are_enough(client: Client, busy: None) -> None:
    before = sorted(demo.folder().iterdir())
    answer = client.post("/demo/")
    assert answer.status_code == 409
    assert "3 live samples are playing already." in words(answer)
    assert sorted(demo.folder().iterdir()) == before


@pytest.mark.usefixtures("quick")
def test_when_one_has_ended_another_may_begin(client: Client) -> None:
    for _ in range(demo.AT_ONCE + 2):
        before = ended()
        assert client.post("/demo/").status_code == 302
        deadline = time.monotonic() + PATIENCE
        while ended() == before and time.monotonic() < deadline:
            time.sleep(0.02)


def test_a_disk_that_takes_nothing_is_told(client: Client, tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("")
    with override_settings(TRACESITE_DATA=tmp_path):
        answer = client.post("/demo/")
    assert answer.status_code == 503
    assert "The live sample cannot be written" in words(answer)


def test_only_forms_of_this_site_start_one(client: Client) -> None:
    assert Client(enforce_csrf_checks=True).post("/demo/").status_code == 403
    assert client.get("/demo/").status_code == 405
    rollout(1).save()
    assert "Play a live sample" in client.get("/").content.decode()
