"""Addresses of the list flow in, the rollouts that match and the words for what was asked flow out."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.http import QueryDict
from django.test import Client

from traces.models import Rollout
from traces.models.rollouts import no_counts
from traces.pages.filters import Filters
from traces.tests.pages.conftest import HTMX, close, words
from traces.tests.pages.test_rollouts import rollout, titles

pytestmark = pytest.mark.django_db


@pytest.fixture
def some(db: None) -> None:
    """Four rollouts, each found by other filters."""
    failed, cancelled = {**no_counts(), "failed": 10}, {**no_counts(), "cancelled": 1, "completed": 20}
    day = datetime(2026, 11, 20, tzinfo=UTC)
    Rollout.objects.bulk_create(
        [
            rollout(1, title="Port the CSV parser", model="gpt-5.5", counts=failed, client_version="0.169"),
            rollout(2, title="Žluťoučký kůň", model="gpt-5.1", counts=cancelled, status="running"),
            rollout(3, title="100% of _it_", started_at=day, status="failed", client_version="0.125"),
            rollout(4, title="The CSV of yesterday", started_at=day.replace(hour=23, minute=59), status="completed"),
        ]
    )


MATCHES = [
    ("q=csv", ["Port the CSV parser", "The CSV of yesterday"]),
    ("q=csv+PARSER", ["Port the CSV parser"]),
    ("q=žluť", ["Žluťoučký kůň"]),
    ("q=KŮŇ", ["Žluťoučký kůň"]),
    ("q=100%25", ["100% of _it_"]),
    ("q=_it_", ["100% of _it_"]),
    ("q=session-4", ["The CSV of yesterday"]),
    ("q=trace-1", ["Port the CSV parser"]),
    ("q=%00", []),
    ("calls=failed", ["Port the CSV parser"]),
    ("calls=cancelled", ["Žluťoučký kůň"]),
    ("calls=failed&calls=cancelled", ["Port the CSV parser", "Žluťoučký kůň"]),
    ("calls=aborted", []),
    ("status=failed", ["100% of _it_"]),
    ("status=failed&status=completed", ["The CSV of yesterday", "100% of _it_"]),
    ("model=gpt-5.1", ["Žluťoučký kůň"]),
    ("model=unknown", ["The CSV of yesterday", "100% of _it_"]),
    ("client=0.125", ["100% of _it_"]),
    ("client=unknown", ["Žluťoučký kůň", "The CSV of yesterday"]),
    ("since=2026-11-21", ["Port the CSV parser", "Žluťoučký kůň"]),
    ("until=2026-11-20", ["The CSV of yesterday", "100% of _it_"]),
    ("since=2026-11-20&until=2026-11-20&status=failed", ["100% of _it_"]),
    ("since=0001-01-01&until=9999-12-31&q=csv+of", ["The CSV of yesterday"]),
    ("session=session-2", ["Žluťoučký kůň"]),
]


@pytest.mark.parametrize(("query", "found"), MATCHES)
def test_what_matches(some: None, client: Client, query: str, found: list[str]) -> None:
    assert titles(client, f"/?{query}") == found
    part = client.get(f"/?{query}", headers=HTMX).content.decode()
    assert re.findall(r'<a class="title"[^>]*>([^<]*)</a>', part) == found


@pytest.mark.parametrize(
    "query", ["calls=nonsense", "status=%3Cb%3E", "since=yesterday", "sort=counts", "until=2026-13-40"]
)
def test_nonsense_is_left_out(some: None, client: Client, query: str) -> None:
    assert len(titles(client, f"/?{query}")) == 4


def test_an_address_says_everything_once() -> None:
    query = "q=a+b&status=failed&calls=failed&calls=running&model=m&client=c"
    query += "&since=2026-11-20&until=2026-11-21&session=s&sort=-tokens"
    assert Filters.of(QueryDict(query)).address() == f"?{query}"
    assert Filters.of(QueryDict("q=&model=&calls=&sort=-started")).address() == ""
    assert Filters.of(QueryDict("q=a&from=3&upload=x")).address(50) == "?q=a&from=50"


def test_each_chip_takes_one_filter_away(some: None, client: Client) -> None:
    page = client.get("/?q=csv&calls=failed&since=2026-11-21&sort=title").content.decode()
    links = dict(re.findall(r'href="([^"]*)"><span class="vh">Remove the filter </span>([^<]*)<', page))
    assert {label: address for address, label in links.items()} == {
        "“csv”": "/?calls=failed&amp;since=2026-11-21&amp;sort=title",
        "Failed calls": "/?q=csv&amp;since=2026-11-21&amp;sort=title",
        "Since Nov 21, 2026": "/?q=csv&amp;calls=failed&amp;sort=title",
    }
    assert '<a href="/?sort=title">Clear the filters</a>' in page


def test_the_form_shows_what_is_asked(some: None, client: Client) -> None:
    page = client.get("/?q=%22x&calls=failed&model=gpt-5.1&since=2026-11-21&sort=-tokens").content.decode()
    assert 'value="&quot;x"' in page
    assert re.search(r'name="calls" value="failed" checked', page)
    assert not re.search(r'name="calls" value="cancelled" checked', page)
    assert "<option selected>gpt-5.1</option>" in page
    assert 'name="since" value="2026-11-21"' in page
    assert 'name="sort" value="-tokens"' in page


def test_nothing_matches(some: None, read: Callable[..., str]) -> None:
    page = read("/?calls=failed&calls=aborted&since=2026-11-25")
    assert (
        "No rollout has failed or aborted calls and started on Nov 25, 2026 or later."
        " Clear the filters to see all 4." in page
    )
    assert "0 of 4 rollouts" in page
    assert "No rollouts yet" not in page.replace("No rollouts yet. Drop a trace bundle anywhere on this page.", "")


def test_text_is_shown_as_text(some: None, client: Client) -> None:
    answer = client.get("/?q=<script>alert(1)</script>&model=<b>x&session=<i>")
    assert "<script>alert" not in answer.content.decode()
    assert "<b>x" not in answer.content.decode()
    assert "uses the model <b>x" in close(words(answer))


def test_real_calls_are_counted(ingested: Callable[[str], Rollout], client: Client) -> None:
    for name in ("0.169.0/story", "0.169.0/killed", "0.128.0/completed"):
        ingested(name)
    assert len(titles(client, "/?calls=cancelled")) == 1
    assert len(titles(client, "/?calls=running")) == 1
    assert len(titles(client, "/?status=running")) == 1
    assert len(titles(client, "/?calls=completed")) == 3


def test_every_word_counts(some: None, client: Client) -> None:
    assert titles(client, f"/?q={'csv+' * 49}parse") == ["Port the CSV parser"]
    assert titles(client, f"/?q={'ž+' * 99}x") == []
