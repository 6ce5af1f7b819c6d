"""Recordings flow in, the page of a rollout flows out: head, problems, outline, conversation, one object in full."""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from traces.bundle.reader import Bundle
from traces.ingest import ingest_bundle
from traces.models import Node, Rollout
from traces.pages.outline import Axis
from traces.pages.windows import Window
from traces.tests.fixtures.recordings import recording_folder

Ingested = Callable[[str], Rollout]
Read = Callable[..., str]


def test_the_head_says_what_it_is(ingested: Ingested, read: Read) -> None:
    page = read(ingested("0.169.0/story").get_absolute_url())
    for said in (
        "16 inferences 13 completed 2 failed 1 cancelled",
        "12 tool calls 12 completed",
        "7.48 s",
        "2 agents",
        "≥ 146,841 in (124,128 cached)",
        "≥ 1,629 out (472 reasoning) · 3 calls without usage",
        "Session 01a20477-f982",
    ):
        assert said in page


def test_problems_come_first(ingested: Ingested, read: Read) -> None:
    page = read(ingested("0.169.0/story").get_absolute_url())
    assert "4 things deserve a look" in page
    assert "Failed Inference 4 · turn 1 stream disconnected before completion" in page
    assert "1 complete item kept · retried by inference 5 event 45" in page
    assert "no complete item kept · retried by inference 6 event 48" in page
    assert "response stream dropped before provider terminal event · 3 complete items kept event 82" in page


def test_without_problems_there_is_no_such_card(ingested: Ingested, read: Read) -> None:
    assert "Problems first" not in read(ingested("0.169.0/completed").get_absolute_url())


def test_the_outline_holds_every_object(ingested: Ingested, client: Client) -> None:
    rollout = ingested("0.169.0/story")
    page = client.get(rollout.get_absolute_url(), headers={"HX-Request": "true", "HX-Target": "outline"})
    body = page.content.decode()
    assert "<html" not in body
    assert body.count('<svg class="span"') == rollout.nodes.count()
    for call in rollout.nodes.filter(kind="inference_call"):
        assert f'href="/rollouts/{rollout.public_id}/inferences/{call.number}/"' in body
    assert "· retried by 5" in body
    assert 'fill="url(#hatch-cancelled)"' in body


def test_the_conversation_as_the_model_saw_it(ingested: Ingested, read: Read) -> None:
    page = read(ingested("0.169.0/story").get_absolute_url(), "conversation")
    assert "5 injected context items" in page
    assert "The failing test was test_discount_rounds_half_up" in page
    assert "git log --oneline 2>/dev/null | head" in page
    assert "(no history)" in page
    assert "Inference 9 Cancelled partial output, 3 complete items" in page
    assert page.index("Structuring the report") < page.index("Cut here at +5.486 s · event 82")
    assert page.index("Cut here at +5.486 s") < page.index("Turn 3")
    assert "Broke off here" in page


def test_calls_without_any_item_are_in_the_conversation(ingested: Ingested, read: Read) -> None:
    page = read(ingested("0.169.0/killed").get_absolute_url(), "conversation")
    assert "Inference 2 Running no item was complete" in page
    assert "The recording stops here" in page


def test_compactions_are_boundaries(ingested: Ingested, read: Read) -> None:
    page = read(ingested("0.128.0/compacted").get_absolute_url(), "conversation")
    assert "Compaction 1 5 items became 4" in page
    assert page.index("Compaction 1") < page.index("the request that was kept")


def test_code_and_its_output(ingested: Ingested, read: Read) -> None:
    page = read(ingested("0.169.0/code_mode").get_absolute_url(), "conversation")
    assert "const r = await tools.exec_command" in page


def test_agents_are_switched_by_a_link(ingested: Ingested, read: Read, client: Client) -> None:
    rollout = ingested("0.169.0/story")
    other = rollout.nodes.get(kind="thread", title="/root/check_callers")
    page = read(f"{rollout.get_absolute_url()}?thread={other.object_id}", "conversation")
    assert "Only invoice.py:17 rounds money" in page
    assert "Too long. Just add a line" not in page
    assert client.get(f"{rollout.get_absolute_url()}?thread=nobody").status_code == 404


def test_windows_leave_nothing_out_silently(ingested: Ingested, read: Read) -> None:
    rollout = ingested("0.169.0/story")
    page = read(f"{rollout.get_absolute_url()}?item=20&row=10")
    assert "20 earlier items" in page
    assert "10 earlier rows" in page
    assert "items 21–42 of 42" in page


def test_a_window_knows_its_neighbours() -> None:
    window = Window(250, 100, 420)
    assert (window.start, window.stop, window.first) == (250, 350, 251)
    assert (window.earlier, window.later) == (150, 350)
    assert (window.earlier_count, window.later_count) == (100, 70)
    assert Window(0, 100, 0).first == 0
    assert Window(10_000, 100, 420).start == 400


def test_bars_stay_on_the_axis() -> None:
    axis = Axis(1_000, 2_000)
    assert axis.place(1_250, 1_750) == ("25.00%", "50.00%")
    assert axis.place(1_999, 2_000) == ("97.50%", "2.50%")
    assert axis.place(1_500, None) == ("50.00%", "50.00%")
    assert Axis(5, 5).place(5, 5) == ("0.00%", "2.50%")


def test_the_first_problem_is_shown_in_full(ingested: Ingested, read: Read) -> None:
    page = read(ingested("0.128.0/cancelled_late").get_absolute_url())
    assert (
        "Cancelled — closed when its turn ended (event 24); its own end came later (event 26) with 3 complete items"
    ) in page


def test_where_reading_stopped_is_said(db: None, tmp_path: Path, read: Read) -> None:
    folder = tmp_path / "broken"
    copytree(recording_folder("0.169.0/retried"), folder)
    lines = (folder / "trace.jsonl").read_text().splitlines(keepends=True)
    lines[9] = lines[9].replace('"type":"', '"type":"un', 1)
    (folder / "trace.jsonl").write_text("".join(lines))
    rollout = ingest_bundle(Bundle(folder)).rollout
    page = read(rollout.get_absolute_url())
    assert "Reading stopped" in page
    assert "line 10" in page
    assert rollout.stopped_what in page
    assert f"The {len(lines) - 10} events after it are kept as raw events" in page
    assert "Reading stopped here" in read(f"{rollout.get_absolute_url()}events/")
    assert "could not be applied" in read(f"{rollout.get_absolute_url()}lines/10/")
    assert "changes nothing" in read(f"{rollout.get_absolute_url()}lines/11/")


def test_an_empty_log_is_a_page_too(db: None, tmp_path: Path, read: Read) -> None:
    folder = tmp_path / "empty"
    copytree(recording_folder("0.169.0/retried"), folder)
    (folder / "trace.jsonl").write_text("")
    page = read(ingest_bundle(Bundle(folder)).rollout.get_absolute_url())
    assert "Nothing has a place in the outline yet." in page
    assert "No inference was recorded." in page


def test_queries_do_not_grow_with_the_rollout(ingested: Ingested, client: Client) -> None:
    taken = []
    for name in ("0.169.0/retried", "0.169.0/story"):
        address = ingested(name).get_absolute_url()
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        taken.append(len(queries))
    assert Node.objects.count() > 40
    assert max(taken) <= 50
    assert abs(taken[1] - taken[0]) <= 10


def test_what_a_model_writes_is_text(ingested: Ingested, client: Client) -> None:
    rollout = ingested("0.169.0/retried")
    Rollout.objects.update(title="<script>alert(1)</script>", note="<img src=x>")
    Node.objects.update(title="<b>bold</b>", evidence_text="<i>no</i>")
    body = client.get(rollout.get_absolute_url()).content.decode()
    for markup in ("<script>alert", "<img src=x", "<b>bold", "<i>no"):
        assert markup not in body
