"""Recordings flow in; every object, item, event and payload has a page, and every link leads somewhere."""

import html
import re
from collections.abc import Callable

import pytest
from django.test import Client

from traces.models import Rollout
from traces.pages.tools import arguments, cut_off, returned
from traces.tests.fixtures.recordings import recording_folder

Ingested = Callable[[str], Rollout]
Read = Callable[..., str]
INLINE = re.compile(r"<style|<script(?![^>]*\bsrc=)|\s(style|on[a-z]+)=|hx-on", re.IGNORECASE)
LINK = re.compile(r'(?:href|hx-get)="([^"]*)"')


@pytest.mark.parametrize("name", ["0.169.0/story", "0.169.0/code_mode", "0.128.0/compacted", "0.152.0/terminal"])
def test_every_link_leads_to_a_page(ingested: Ingested, client: Client, name: str) -> None:
    """All pages of a rollout, by following links; none holds inline style, script or handlers."""
    start = ingested(name).get_absolute_url()
    seen, ahead = {start}, [start]
    while ahead:
        address = ahead.pop()
        response = client.get(address)
        assert response.status_code == 200, address
        if "text/html" not in response["Content-Type"]:
            continue
        body = response.content.decode()
        assert not INLINE.search(body), (address, INLINE.search(body))
        for link in LINK.findall(body):
            found = address_of(address, html.unescape(link))
            level = "at=" in found and "/payloads/1/" not in found  # the levels of one tree stand for all
            if found.startswith(start) and found not in seen and "item=" not in found and not level:
                seen.add(found)
                ahead.append(found)
    assert len(seen) > 30


def address_of(page: str, link: str) -> str:
    bare = link.partition("#")[0]
    return page.partition("?")[0] + bare if bare.startswith("?") else bare


def test_a_tool_call(ingested: Ingested, read: Read) -> None:
    page = read(f"{ingested('0.169.0/story').get_absolute_url()}tools/call_1/")
    assert "Completed — the tool call ended · event 19" in page
    assert "/bin/bash -lc ls -la && cat README.md" in page
    assert "Folder /home/user/project" in page
    assert "Exit code 0" in page
    assert "-rw-r--r-- 1 root root 57 Nov 22 18:15 README.md" in page
    for label in ("Invocation payload 6", "Runtime payload 7", "Runtime payload 8", "Result payload 9"):
        assert label in page
    assert "Terminal 1" in page


def test_a_tool_without_a_terminal_shows_what_was_recorded(ingested: Ingested, read: Read) -> None:
    page = read(f"{ingested('0.169.0/story').get_absolute_url()}tools/call_11/")
    assert "wait_agent" in page
    assert '"timeout_ms": 10000' in page


def test_a_terminal_with_colours(ingested: Ingested, client: Client) -> None:
    rollout = ingested("0.128.0/terminal")
    body = client.get(f"{rollout.get_absolute_url()}terminals/terminal_operation:2/").content.decode()
    assert '<span class="ansi-32">got ping</span>' in body
    assert "ping" in body
    assert "Same terminal" in body


def test_an_agent(ingested: Ingested, read: Read) -> None:
    rollout = ingested("0.169.0/story")
    agent = rollout.nodes.get(kind="thread", title="/root/check_callers")
    page = read(f"{rollout.get_absolute_url()}threads/{agent.object_id}/")
    for said in ("Agent /root/check_callers", "Nickname Hilbert", "Origin spawned", "Parent agent", "Agent /root"):
        assert said in page


def test_a_turn(ingested: Ingested, read: Read) -> None:
    rollout = ingested("0.169.0/story")
    turn = rollout.nodes.get(kind="codex_turn", number=2)
    page = read(f"{rollout.get_absolute_url()}turns/{turn.object_id}/")
    assert "Cancelled — the turn was cancelled: interrupted · event 85" in page
    assert "Inference 9" in page


def test_a_code_cell(ingested: Ingested, read: Read) -> None:
    page = read(f"{ingested('0.169.0/code_mode').get_absolute_url()}cells/code_cell:call_1/")
    assert "const r = await tools.exec_command({cmd: 'echo nested'})" in page
    assert "Tools it called" in page


def test_a_compaction(ingested: Ingested, read: Read) -> None:
    rollout = ingested("0.128.0/compacted")
    node = rollout.nodes.get(kind="compaction")
    page = read(f"{rollout.get_absolute_url()}compactions/{node.object_id}/")
    assert "Completed — the shorter history was installed" in page
    assert "Items before 5 Items after 4" in page


def test_a_conversation_item(ingested: Ingested, read: Read) -> None:
    page = read(f"{ingested('0.169.0/story').get_absolute_url()}items/conversation_item:28/")
    assert "Tool call conversation item:28" in page
    assert "(no history)" in page
    assert "Produced by Inference 9" in page


def test_the_inspector_of_an_object(ingested: Ingested, read: Read) -> None:
    page = read(f"{ingested('0.169.0/story').get_absolute_url()}tools/call_1/", "inspector")
    assert page.startswith("Tool call Completed Open page")
    assert "Rollout traces" not in page


def test_a_raw_event(ingested: Ingested, read: Read) -> None:
    page = read(f"{ingested('0.169.0/story').get_absolute_url()}events/82/")
    assert "Event 82 inference_cancelled" in page
    assert '"reason": "response stream dropped before provider terminal event"' in page
    assert "Inference 9" in page
    assert "Previous event 81" in page


def test_payload_bytes_are_exact(ingested: Ingested, client: Client, read: Read) -> None:
    rollout = ingested("0.169.0/story")
    recorded = (recording_folder("0.169.0/story") / "payloads" / "50.json").read_bytes()
    assert 'upstream_request_id: "req_009"' in read(f"{rollout.get_absolute_url()}payloads/50/")
    raw = client.get(f"{rollout.get_absolute_url()}payloads/50/raw")
    assert raw.content == recorded
    assert raw["Content-Disposition"] == 'attachment; filename="2914f777-payload-50.json"'
    assert raw["X-Content-Type-Options"] == "nosniff"
    assert raw["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    "nothing",
    [
        "events/9999/",
        "events/99999999999999999999/",
        "lines/9999/",
        "payloads/9999/",
        "payloads/x/raw",
        "tools/x/",
        "tools/%00/",
        "nonsense/x/",
        "items/x/",
    ],
)
def test_what_is_not_there_says_so(ingested: Ingested, client: Client, nothing: str) -> None:
    response = client.get(f"{ingested('0.169.0/retried').get_absolute_url()}{nothing}")
    assert response.status_code == 404
    assert b"There is nothing here." in response.content
    assert b"To all rollouts" in response.content


def test_an_unknown_rollout(db: None, client: Client) -> None:
    assert client.get("/rollouts/nobody/").status_code == 404


def test_a_terminal_with_all_its_operations(ingested: Ingested, read: Read) -> None:
    rollout = ingested("0.128.0/terminal")
    session = rollout.terminal_sessions.get()
    page = read(f"{rollout.get_absolute_url()}sessions/{session.terminal_id}/")
    assert "2 operations of one terminal, in order." in page
    assert page.index("Terminal 1") < page.index("Terminal 2")
    assert "got ping" in page
    assert "The whole terminal" in read(f"{rollout.get_absolute_url()}terminals/terminal_operation:2/")


def test_an_edge_links_both_ways(ingested: Ingested, read: Read, client: Client) -> None:
    rollout = ingested("0.169.0/story")
    edge = rollout.interaction_edges.get(kind="spawn_agent")
    address = f"{rollout.get_absolute_url()}edges/{edge.edge_id}/"
    page = read(address)
    assert "Spawn agent between agents" in page
    assert "To conversation item 35 /root/check_callers" in page
    child = rollout.nodes.get(kind="thread", title="/root/check_callers").object_id
    parent = rollout.root_thread_id
    for end in ("tools/call_9/", "items/conversation_item:35/", f"threads/{child}/", f"threads/{parent}/"):
        assert f'href="{address}"' in client.get(f"{rollout.get_absolute_url()}{end}").content.decode(), end


def test_an_agents_page_says_what_came_of_it(ingested: Ingested, read: Read) -> None:
    rollout = ingested("0.169.0/story")
    child = rollout.nodes.get(kind="thread", title="/root/check_callers")
    page = read(f"{rollout.get_absolute_url()}threads/{child.object_id}/")
    for said in ("Task check_callers", "How it was started", "spawn agent from", "agent result to", "No other round()"):
        assert said in page
    root = read(f"{rollout.get_absolute_url()}threads/{rollout.root_thread_id}/")
    assert "Agents it started" in root
    assert "Messages between agents" in root


def test_a_patch_is_a_difference(ingested: Ingested, client: Client) -> None:
    body = client.get(f"{ingested('0.169.0/story').get_absolute_url()}tools/call_5/").content.decode()
    assert '<ins class="line">+' in body
    assert '<del class="line">-' in body


def test_what_went_back_to_the_model(ingested: Ingested, read: Read) -> None:
    page = read(f"{ingested('0.169.0/story').get_absolute_url()}tools/call_1/")
    assert '"cmd": "ls -la && cat README.md"' in page
    assert "Went back to the model" in page
    assert "The whole output went back." in page


def test_what_was_cut_off_in_between() -> None:
    printed = "".join(f"line {number}\n" for number in range(1_000))
    said = f"{printed[:1_000]}…1900 tokens truncated…{printed[-1_000:]}"
    lost = cut_off(printed, said)
    assert lost is not None
    assert printed[:1_000] + lost.text + printed[-1_000:] == printed
    assert lost.instead == "…1900 tokens truncated…"
    assert (
        returned(printed, said, lost)
        == f"{len(printed) - 2_000:,} of {len(printed):,} printed characters did not go back."
    )
    assert cut_off("one", "something else") is None
    assert cut_off(printed, printed) is None


@pytest.mark.parametrize(
    ("invocation", "said"),
    [
        (b'{"payload": {"type": "function", "arguments": "{\\"a\\": 1}"}}', '{\n  "a": 1\n}'),
        (b'{"payload": {"type": "function", "arguments": "{broken"}}', "{broken"),
        (b'{"payload": {"type": "custom", "input": "*** Begin Patch"}}', "*** Begin Patch"),
        (b'{"payload": {"arguments": {"a": [1]}}}', '{\n  "a": [\n    1\n  ]\n}'),
        (b'{"payload": {"arguments": "' + b"[" * 100_000 + b'"}}', "[" * 100_000),
        (b'{"payload": 3}', ""),
        (b"[]", ""),
        (b"no json", ""),
        (b"", ""),
    ],
)
def test_arguments_as_they_are_read(invocation: bytes, said: str) -> None:
    assert arguments(invocation) == said


def test_a_compaction_shows_both_histories(ingested: Ingested, read: Read) -> None:
    rollout = ingested("0.128.0/compacted")
    address = f"{rollout.get_absolute_url()}compactions/{rollout.nodes.get(kind='compaction').object_id}/"
    page = read(address)
    assert page.index("The history after it 4 items") < page.index("The history before it 5 items")
    assert "Compaction request 1" in page


def test_a_cells_first_response(ingested: Ingested, read: Read) -> None:
    page = read(f"{ingested('0.169.0/code_mode').get_absolute_url()}cells/code_cell:call_1/")
    assert "Responded +" in page
    assert "event 20" in page
    assert "Yielded not recorded" in page
    assert "Initial response payload 13" in page


@pytest.mark.parametrize("nothing", ["edges/x/", "sessions/x/"])
def test_no_such_edge_or_terminal(ingested: Ingested, client: Client, nothing: str) -> None:
    assert client.get(f"{ingested('0.169.0/retried').get_absolute_url()}{nothing}").status_code == 404
