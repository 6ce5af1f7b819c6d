"""A recording that grows batch by batch flows in; a page that is patched equals one that is opened anew."""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from traces.bundle.reader import Bundle
from traces.ingest import ingest_bundle
from traces.models import Node, Rollout
from traces.pages.once import once
from traces.tests.fixtures.recordings import recording_folder
from traces.tests.ingest.recordings import by
from traces.tests.pages.open_page import OpenPage

Ingested = Callable[[str], Rollout]
# Retries, cancellations, several agents, compactions, code cells: what moves rows and changes old ones.
NAMES = (
    "0.169.0/story",
    "0.128.0/cancelled_late",
    "0.152.0/agent_interrupted",
    "0.152.0/compacted_inline",
    "0.152.0/resume_tool_interrupted.2",
    "0.160.0/agents_turns",
    "0.164.0/ws_code",
    "0.166.0/interrupt_tools",
)
SAID = re.compile(r"<li data-inference[^>]*>(.*?)</li>")


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def grow(name: str, events: int, look: Callable[[Rollout], None]) -> Rollout:
    """Ingests a recording and looks at its rollout after each batch."""
    bundle = Bundle(recording_folder(name))
    return ingest_bundle(bundle, build=by(events), progress=lambda _: look(Rollout.objects.get())).rollout


class Readers:
    """Pages of one rollout in several tabs: one follows closely, one nods off, one was opened at each revision."""

    def __init__(self, client: Client, query: dict[str, str]) -> None:
        self.client, self.query = client, query
        self.tabs: list[OpenPage] = []

    def look(self, rollout: Rollout) -> None:
        """Each new revision."""
        now = OpenPage(self.client, rollout.get_absolute_url(), self.query).opened()
        assert now.revision == rollout.revision
        for tab in self.tabs[:1] + self.tabs[1:2] * (rollout.revision % 3 == 0):
            tab.catch_up()
            compare(tab, now)
        self.tabs += [now.copy() for _ in range(1 if self.tabs else 2)]

    def compare_all(self) -> None:
        """From every revision to the last one."""
        first = self.tabs[0]
        now = OpenPage(self.client, first.address, self.query).opened()
        for tab in self.tabs:
            tab.catch_up()
            compare(tab, now)


def compare(tab: OpenPage, now: OpenPage) -> None:
    for pane, rows in now.panes.items():
        assert list(tab.panes[pane]) == list(rows), pane
        for key, row in rows.items():
            assert tab.panes[pane][key] == row


@pytest.mark.django_db
@pytest.mark.parametrize("query", [{}, {"row": "7", "item": "5"}], ids=["from the start", "in the middle"])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_that_is_patched_equals_one_that_is_opened(client: Client, name: str, query: dict[str, str]) -> None:
    readers = Readers(client, query)
    grow(name, 9 if name.endswith("story") else 3, readers.look)
    readers.compare_all()
    assert not any(tab.asked_again for tab in readers.tabs)


@pytest.mark.django_db
def test_each_call_that_ends_is_said_once(client: Client) -> None:
    heard: list[str] = []
    revision = 0

    def look(rollout: Rollout) -> None:
        nonlocal revision
        if revision:
            answer = client.get(f"{rollout.get_absolute_url()}changes/?since={revision}")
            heard.extend(html.unescape(sentence) for sentence in SAID.findall(answer.content.decode()))
        revision = rollout.revision

    rollout = grow("0.169.0/story", 1, look)
    calls = Node.objects.filter(rollout=rollout, kind="inference_call")
    assert Counter(sentence.split()[1].rstrip(":.") for sentence in heard) == Counter(
        str(number) for number in calls.values_list("number", flat=True)
    )
    assert "Inference 1 completed." in heard
    assert (
        "Inference 9 was cancelled: response stream dropped before provider terminal event. 3 complete items kept."
        in heard
    )


@pytest.mark.django_db
def test_what_is_newer_than_the_ring_comes_early_and_is_called_by_the_ring(client: Client) -> None:
    heard: list[str] = []
    since = 1

    def look(rollout: Rollout) -> None:
        nonlocal since
        for to in range(since + 1, rollout.revision - 2):
            text = client.get(f"{rollout.get_absolute_url()}changes/?since={since}&to={to}").content.decode()
            assert f'data-revision="{to}"' in text
            heard.extend(html.unescape(sentence) for sentence in SAID.findall(text))
            since = to

    rollout = grow("0.169.0/story", 1, look)
    last = client.get(f"{rollout.get_absolute_url()}changes/?since={since}&to={rollout.revision + 9}").content.decode()
    assert f'data-revision="{rollout.revision}"' in last
    heard.extend(html.unescape(sentence) for sentence in SAID.findall(last))
    numbers = [sentence.split()[1].rstrip(":.") for sentence in heard]
    calls = Node.objects.filter(rollout=rollout, kind="inference_call").values_list("number", flat=True)
    assert set(numbers) == {str(number) for number in calls}


@pytest.mark.django_db
def test_many_ends_at_once_are_counted(client: Client, ingested: Ingested) -> None:
    rollout = ingested("0.169.0/story")
    first = Node.objects.filter(rollout=rollout, kind="inference_call", status="failed").first()
    assert first
    rollout.nodes.all().update(revision=2)
    rollout.conversation_items.all().update(revision=2)
    for number in range(100, 118):
        first.pk, first.object_id, first.number, first.revision = None, f"copy {number}", number, 2
        first.save(force_insert=True)
    Rollout.objects.filter(pk=rollout.pk).update(revision=2)
    page = client.get(f"{rollout.get_absolute_url()}changes/?since=1").content.decode()
    assert len(SAID.findall(page)) == 20
    assert "And 14 more." in page


@pytest.mark.django_db
def test_a_page_that_is_up_to_date_gets_nothing(client: Client, ingested: Ingested) -> None:
    rollout = ingested("0.169.0/completed")
    Rollout.objects.filter(pk=rollout.pk).update(heard_at=timezone.now() - timedelta(minutes=1), status="running")
    answer = client.get(f"{rollout.get_absolute_url()}changes/?since={rollout.revision}")
    assert (answer.status_code, answer.content, answer["Cache-Control"]) == (204, b"", "no-store")
    assert answer["X-Liveness"] == "quiet"


@pytest.mark.django_db
@pytest.mark.parametrize("since", ["999", "0", "", "nonsense", "-1"])
def test_a_page_that_knows_more_than_there_is_gets_everything(client: Client, ingested: Ingested, since: str) -> None:
    rollout = ingested("0.169.0/completed")
    page = OpenPage(client, rollout.get_absolute_url(), {}).opened()
    answer = client.get(f"{rollout.get_absolute_url()}changes/?since={since}")
    assert answer.status_code == 200
    body = answer.content.decode()
    assert all(f'id="{key}"' in body for rows in page.panes.values() for key in rows)
    assert not SAID.findall(body)


@pytest.mark.django_db
def test_links_in_a_fragment_lead_to_the_page(client: Client, ingested: Ingested) -> None:
    rollout = ingested("0.169.0/story")
    body = client.get(f"{rollout.get_absolute_url()}changes/?since=0&problem=1&row=3").content.decode()
    assert f'href="{rollout.get_absolute_url()}?row=3&amp;problem=0#problems"' in body
    assert "since=" not in body


@pytest.mark.django_db
def test_a_rollout_that_may_not_be_seen_has_no_changes(client: Client, ingested: Ingested) -> None:
    rollout = ingested("0.169.0/completed")
    Rollout.objects.filter(pk=rollout.pk).update(deleted_at=timezone.now())
    assert client.get(f"{rollout.get_absolute_url()}changes/?since=0").status_code == 404


@pytest.mark.django_db
def test_an_agent_that_is_not_there_is_the_root(client: Client, ingested: Ingested) -> None:
    rollout = ingested("0.169.0/story")
    body = client.get(f"{rollout.get_absolute_url()}changes/?since=0&thread=nobody").content.decode()
    assert f'data-thread="{rollout.root_thread_id}"' in body


@pytest.mark.django_db
def test_a_rollout_that_has_only_just_begun_has_nothing_to_say(client: Client) -> None:
    rollout = Rollout.objects.create(
        trace_id="new", rollout_id="new", root_thread_id="t", schema_version=2, started_at=timezone.now(), revision=1
    )
    body = client.get(f"{rollout.get_absolute_url()}changes/?since=0").content.decode()
    assert body.count('data-order=""') == 2
    assert '<div data-part="problems"></div>' in body


def test_what_many_ask_for_at_once_is_made_once() -> None:
    made = []
    together = Barrier(20)

    def ask(_: int) -> str:
        together.wait()
        return once("a-key", lambda: made.append(1) or "the answer")  # type: ignore[func-returns-value]

    with ThreadPoolExecutor(20) as readers:
        assert set(readers.map(ask, range(20))) == {"the answer"}
    assert made == [1]


def test_work_that_fails_is_tried_again_by_the_next() -> None:
    with pytest.raises(ZeroDivisionError):
        once("a-key", lambda: str(1 // 0))
    assert once("a-key", lambda: "the answer") == "the answer"


@pytest.mark.django_db
def test_the_same_difference_is_rendered_once_for_all_readers(
    client: Client, ingested: Ingested, django_assert_max_num_queries: Callable[[int], object]
) -> None:
    address = f"{ingested('0.169.0/story').get_absolute_url()}changes/?since=0"
    first = client.get(address).content
    with django_assert_max_num_queries(1):  # type: ignore[attr-defined]
        assert client.get(address).content == first
