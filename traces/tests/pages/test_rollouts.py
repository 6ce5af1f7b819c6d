"""Rollouts flow in, the list of them flows out: whole, as htmx asks for it, sorted, paged, and by session."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from traces.models import Rollout
from traces.models.rollouts import no_counts
from traces.pages.sessions import SIBLINGS_SHOWN
from traces.tests.pages.conftest import HTMX, words

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def rollout(n: int, **fields: object) -> Rollout:
    """An unsaved rollout; the greater its number, the older it is."""
    said = {"title": f"No {n}.", "started_at": NOON - timedelta(minutes=n), "rollout_id": f"session-{n}", **fields}
    return Rollout(trace_id=f"trace-{n}", schema_version=2, **said)


def titles(client: Client, address: str) -> list[str]:
    """The titles of a page's rows, from top to bottom."""
    page = client.get(address).content.decode()
    return re.findall(r'<a class="title"[^>]*>([^<]*)</a>', page)


def test_the_empty_list_invites(read: Callable[..., str]) -> None:
    page = read("/")
    assert "No rollouts yet. Drop a trace bundle anywhere on this page." in page
    assert "CODEX_ROLLOUT_TRACE_ROOT" in page
    assert "Nothing at hand? Open the sample traces" in page


def test_every_page_leads_to_the_api(ingested: Callable[[str], Rollout], client: Client) -> None:
    for address in ("/", ingested("0.169.0/completed").get_absolute_url(), "/there-is-no-such-page/"):
        assert '<a class="btn quiet end" href="/api/v1/">API</a>' in client.get(address).content.decode(), address


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


def test_the_forms_own_question_leaves_the_form_alone(client: Client) -> None:
    rollout(1).save()
    asked = "/?q=&calls=&model=&sort=tokens&q=no"
    by_form = client.get(asked, headers={**HTMX, "HX-Trigger": "filters"})
    by_link = client.get(asked, headers=HTMX)
    assert 'id="filters"' not in by_form.content.decode()
    assert 'id="filters"' in by_link.content.decode()
    assert by_form["HX-Push-Url"] == by_link["HX-Push-Url"] == "/?q=no&sort=tokens"
    again = client.get(asked, headers={**HTMX, "HX-Trigger": "rollouts"})
    there = client.get(asked, headers={**HTMX, "HX-Current-URL": "http://testserver/?q=no&sort=tokens"})
    assert again["HX-Push-Url"] == there["HX-Push-Url"] == "false"


def test_fifty_a_page_with_plain_links(client: Client) -> None:
    Rollout.objects.bulk_create(rollout(n) for n in range(120))
    first, second = words(client.get("/")), words(client.get("/?from=50"))
    assert "Rows 1–50 of 120" in first
    assert "No 49." in first
    assert "No 50." not in first
    assert "Rows 51–100 of 120" in second
    assert "No 50." in second
    assert 'href="/?from=50"' in client.get("/").content.decode()
    assert "Rows 101–120 of 120" in words(client.get("/?from=9999"))
    assert "Rows 1–50 of 120" in words(client.get("/?from=nonsense&upload=%00"))


@pytest.mark.parametrize(
    "sort", ["started", "-started", "state", "-tokens", "-inferences", "duration", "title", "client"]
)
def test_pages_show_every_row_once(client: Client, sort: str) -> None:
    Rollout.objects.bulk_create(rollout(n, started_at=NOON, tokens_in=n % 3) for n in range(120))
    seen = [title for start in (0, 50, 100) for title in titles(client, f"/?sort={sort}&from={start}")]
    assert len(seen) == len(set(seen)) == 120


FIRST = {"title": "a", "status": "aborted", "model": "a", "agents": 1, "tokens_in": 1, "client_version": "0.1"}
LAST = {"title": "B", "status": "running", "model": "b", "agents": 2, "tokens_in": 2, "client_version": "0.2"}


@pytest.mark.parametrize(
    "column", ["title", "state", "inferences", "model", "agents", "started", "duration", "tokens", "client"]
)
def test_every_column_sorts_both_ways(client: Client, column: str) -> None:
    rollout(2, **FIRST, ended_at=NOON).save()
    rollout(1, **LAST, ended_at=NOON + timedelta(hours=1), counts={**no_counts(), "failed": 12}).save()
    assert titles(client, f"/?sort={column}") == ["a", "B"]
    assert titles(client, f"/?sort=-{column}") == ["B", "a"]
    page = client.get(f"/?sort=-{column}").content.decode()
    assert re.search(rf'aria-sort="descending"><a id="sort-{column}" href="/\?sort={column}"', page)
    assert page.count("aria-sort") == 1


def test_no_end_sorts_last(client: Client) -> None:
    rollout(1, title="without").save()
    rollout(2, title="with", ended_at=NOON).save()
    assert titles(client, "/?sort=duration") == titles(client, "/?sort=-duration") == ["with", "without"]


def test_recordings_of_one_session_are_one_row(client: Client) -> None:
    Rollout.objects.bulk_create(rollout(n, rollout_id="one") for n in range(3))
    rollout(3).save()
    assert titles(client, "/") == ["No 0.", "No 3."]
    page = words(client.get("/"))
    assert "2 more recordings of this session" in page
    assert page.index("No 0.") < page.index("No 1.") < page.index("No 2.") < page.index("No 3.")
    assert "4 rollouts · 2 sessions" in page
    assert titles(client, "/?session=one") == ["No 0.", "No 1.", "No 2."]


def test_only_recordings_that_match_are_folded(client: Client) -> None:
    Rollout.objects.bulk_create(rollout(n, rollout_id="one", model="ab"[n % 2]) for n in range(4))
    assert titles(client, "/?model=b") == ["No 1."]
    page = words(client.get("/?model=b"))
    assert "1 more recording of this session" in page
    assert "No 2." not in page


def test_a_session_of_many_recordings_names_the_rest(client: Client) -> None:
    Rollout.objects.bulk_create(rollout(n, rollout_id="one") for n in range(SIBLINGS_SHOWN + 5))
    page = words(client.get("/"))
    assert "And 4 more: all recordings of this session" in page
    assert f"No {SIBLINGS_SHOWN}." in page
    assert f"No {SIBLINGS_SHOWN + 1}." not in page


def test_what_names_no_session_stands_alone(client: Client) -> None:
    Rollout.objects.bulk_create(rollout(n, rollout_id="") for n in range(3))
    assert len(titles(client, "/")) == 3


def test_totals_are_of_all_pages(client: Client) -> None:
    counts = {**no_counts(), "completed": 2, "failed": 1}
    Rollout.objects.bulk_create(
        rollout(n, counts=counts, tokens_in=100, tokens_out=1, bytes_stored=1000, calls_without_usage=n % 2)
        for n in range(120)
    )
    page = words(client.get("/?sort=title"))
    assert "360 inferences 240 completed 120 failed ≥ 12,120 tokens 120 KB on disk" in page
    assert "1 of 120 rollouts" in words(client.get("/?q=119"))
    assert "3 inferences 2 completed 1 failed ≥ 101 tokens" in words(client.get("/?q=119"))


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_list_takes_the_same_queries_for_many_rows(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries, headers: dict[str, str]
) -> None:
    Rollout.objects.bulk_create(rollout(n, rollout_id=f"session-{n // 2}", started_at=timezone.now()) for n in range(4))
    queries = 9 if not headers else 6
    with django_assert_num_queries(queries):
        client.get("/", headers=headers)
    Rollout.objects.bulk_create(rollout(n, rollout_id=f"session-{n // 3}") for n in range(10, 200))
    with django_assert_num_queries(queries):
        client.get("/", headers=headers)
    with django_assert_num_queries(queries + 1):
        client.get("/?q=no&sort=-inferences", headers=headers)
