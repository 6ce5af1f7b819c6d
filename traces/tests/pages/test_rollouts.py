"""Rollouts flow in, the list of them flows out: whole, and as htmx asks for it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from traces.models import Rollout
from traces.tests.pages.conftest import HTMX, words

pytestmark = pytest.mark.django_db


def test_the_empty_list_invites(read: Callable[..., str]) -> None:
    page = read("/")
    assert "No rollouts yet. Drop a trace bundle anywhere on this page." in page
    assert "CODEX_ROLLOUT_TRACE_ROOT" in page


def test_a_row_says_what_a_rollout_is(ingested: Callable[[str], Rollout], read: Callable[..., str]) -> None:
    rollout = ingested("0.169.0/story")
    page = read("/")
    assert "One of the tests in this folder fails since we moved to Decimal. Find out why and fix it." in page
    for said in ("13 completed", "2 failed", "1 cancelled", "gpt-5.5", "7.48 s", "≥ 148,470", "156 events"):
        assert said in page
    assert rollout.client_version in page


def test_guessed_client_versions_are_dashed(ingested: Callable[[str], Rollout], client: Client) -> None:
    ingested("0.169.0/story")
    assert 'class="guess" title="Inferred from the event types' in client.get("/").content.decode()


def test_htmx_gets_the_table_alone(ingested: Callable[[str], Rollout], client: Client) -> None:
    ingested("0.169.0/retried")
    whole, part = client.get("/"), client.get("/", headers=HTMX)
    assert "<html" in whole.content.decode()
    assert "<html" not in part.content.decode()
    assert "try again when the stream breaks" in words(part)
    assert 'id="rollouts-count" hx-swap-oob="true"' in part.content.decode()
    assert "HX-Request" in whole["Vary"]


def test_fifty_a_page_with_plain_links(client: Client) -> None:
    now = timezone.now()
    Rollout.objects.bulk_create(
        Rollout(trace_id=f"trace-{n}", schema_version=2, started_at=now - timedelta(minutes=n), title=f"No {n}.")
        for n in range(120)
    )
    first, second = words(client.get("/")), words(client.get("/?from=50"))
    assert "Rows 1–50 of 120" in first
    assert "No 49." in first
    assert "No 50." not in first
    assert "Rows 51–100 of 120" in second
    assert "No 50." in second
    assert 'href="?from=50"' in client.get("/").content.decode()
    assert "Rows 101–120 of 120" in words(client.get("/?from=9999"))
    assert "Rows 1–50 of 120" in words(client.get("/?from=nonsense&upload=%00"))


def test_the_list_takes_few_queries(
    ingested: Callable[[str], Rollout], client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for name in ("0.169.0/story", "0.169.0/retried", "0.128.0/killed"):
        ingested(name)
    with django_assert_max_num_queries(4):
        client.get("/")
