"""Recordings flow in, the page of a rollout flows out: head, problems, outline, conversation, one object in full."""

import re
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from traces.bundle.reader import Bundle
from traces.ingest import ingest_bundle
from traces.models import Node, Rollout
from traces.pages.jump import find, land, milliseconds
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


@pytest.mark.parametrize("stopped", ["", "inference: no such turn"])
def test_a_torn_end_is_told(ingested: Ingested, read: Read, stopped: str) -> None:
    rollout = ingested("0.169.0/completed")
    assert "cut off" not in read(rollout.get_absolute_url())
    Rollout.objects.filter(pk=rollout.pk).update(tail=b'{"schema_v', stopped_what=stopped, stopped_line=3)
    said = "The last line of this recording is cut off after 10 bytes; it is kept and waits for its rest."
    page = read(rollout.get_absolute_url())
    assert said in page
    assert ("Reading stopped" in page) == bool(stopped)


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


@pytest.mark.parametrize(
    ("asked", "kind", "number"),
    [
        ("1", "thread", 1),
        ("row 3", "inference_call", 1),
        ("inference 9", "inference_call", 9),
        ("Inference #9", "inference_call", 9),
        ("turn 2", "codex_turn", 2),
        ("tool call 3", "tool_call", 3),
        ("agent 2", "thread", 2),
        ("event 82", "tool_call", 9),
        ("0:00", "thread", 1),
        ("0 s", "thread", 1),
    ],
)
def test_a_jump_finds_its_place(ingested: Ingested, asked: str, kind: str, number: int) -> None:
    found = find(ingested("0.169.0/story"), asked.lower())
    assert found is not None
    if asked != "event 82":
        assert (found.kind, found.number) == (kind, number)
    else:
        assert found.started_seq <= 82


@pytest.mark.parametrize(
    ("asked", "ms"),
    [("1:30", 90_000), ("+1:02:03.5", 3_723_500), ("4.2 s", 4_200), ("2m 5s", 125_000), ("150 ms", 150), ("x", None)],
)
def test_times_as_people_write_them(asked: str, ms: int | None) -> None:
    assert milliseconds(asked) == ms


@pytest.mark.parametrize("asked", ["nonsense", "inference 99", "row x", "9" * 40, "<b>", "tool", "-5", "5 %%"])
def test_a_jump_to_nowhere_says_so(ingested: Ingested, read: Read, asked: str) -> None:
    page = read(f"{ingested('0.169.0/story').get_absolute_url()}?{urlencode({'jump': asked})}")
    assert f"“{asked}” names no place here." in page
    assert "Outline" in page


@pytest.mark.parametrize("asked", ["999999999999", "100%", "999:00:00", "event 99999999"])
def test_a_jump_beyond_the_end_is_the_end(ingested: Ingested, asked: str) -> None:
    assert find(ingested("0.169.0/story"), asked) is not None


def test_a_jump_brings_all_panes_at_once(ingested: Ingested, read: Read) -> None:
    rollout = ingested("0.169.0/story")
    panes = read(f"{rollout.get_absolute_url()}?jump=tool+call+9", "panes")
    assert "Rollout traces" not in panes
    for said in ("Outline", "Conversation", "Tool call Completed Open page"):
        assert said in panes
    call = rollout.nodes.get(kind="inference_call", number=12)
    landing = land(rollout, "inference 12")
    assert landing is not None
    assert landing.thread_id == call.thread_id
    assert landing.node == call
    terminal = land(rollout, "terminal 7")
    assert terminal is not None
    assert terminal.thread_id == call.thread_id


def test_a_window_of_an_own_choice_beats_the_jump(ingested: Ingested, read: Read) -> None:
    page = read(f"{ingested('0.169.0/story').get_absolute_url()}?jump=inference+12&row=0&item=0")
    assert "earlier rows" not in page
    assert "earlier items" not in page


def test_controls_of_direction_are_shown(ingested: Ingested, client: Client) -> None:
    rollout = ingested("0.169.0/retried")
    Rollout.objects.update(title="safe \u202egnp.exe\u2066")
    body = client.get(rollout.get_absolute_url()).content.decode()
    assert "safe ⟦U+202E⟧gnp.exe⟦U+2066⟧" in body
    assert "\u202e" not in body


def test_a_page_of_a_long_rollout_stays_small(ingested: Ingested, client: Client) -> None:
    rollout = ingested("0.169.0/story")
    call = rollout.nodes.get(kind="inference_call", number=1)
    copies = [copied(call, number) for number in range(100, 3_000)]
    Node.objects.bulk_create(copies)
    for address in (rollout.get_absolute_url(), f"{rollout.get_absolute_url()}?jump=50%25"):
        body = client.get(address).content
        assert len(body) < 500_000
        assert len(re.findall(rb"<[a-z]", body)) < 3_000


def copied(call: Node, number: int) -> Node:
    return Node(
        **{field.attname: getattr(call, field.attname) for field in Node._meta.concrete_fields if field.name != "id"}
        | {"object_id": f"copy-{number}", "number": number, "position": f"{call.position}{number:06d}"}
    )
