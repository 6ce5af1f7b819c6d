"""Sessions that call tools flow in, tool calls linked with items, responses and MCP servers flow out."""

from collections.abc import Callable
from typing import Any

import pytest

from traces.reducer import ReductionError
from traces.tests.reducer.builder import ROOT, Session
from traces.tests.reducer.items import call, code, output, user

HI = user("hi")
MCP = {"type": "mcp", "server": "s", "tool": "t"}


def links(session: Session, tool_id: str = "c1") -> tuple[list[str], list[str]]:
    tool = session.object("tool_calls", tool_id)
    return tool["model_visible_call_item_ids"], tool["model_visible_output_item_ids"]


# --- links ------------------------------------------------------------------------------------------------------------


def test_a_tool_is_linked_with_its_items_and_the_response_that_asked(session: Session) -> None:
    session.ask("I1", HI)
    session.complete("I1", call("c1"))
    session.tool("c1", "web")
    assert session.inference("I1")["tool_call_ids_started_by_response"] == ["c1"]
    session.end_tool("c1", {"out": 1})
    session.ask("I2", HI, call("c1"), output("c1"))
    assert links(session) == (["conversation_item:2"], ["conversation_item:3"])
    assert session.items(3)[0]["produced_by"] == [{"type": "tool", "tool_call_id": "c1"}]
    tool = session.object("tool_calls", "c1")
    assert (tool["execution"]["status"], tool["raw_result_payload_id"]) == ("completed", "raw_payload:3")


def test_a_tool_that_starts_first_waits_for_the_next_sighting_of_its_call(session: Session) -> None:
    """Its response is recorded when all of it has come; the call is then known, but linked when it is seen again."""
    session.ask("I1", HI)
    session.tool("c1", "web")
    session.complete("I1", call("c1"))
    assert links(session)[0] == ["conversation_item:2"]
    assert session.inference("I1")["tool_call_ids_started_by_response"] == []
    session.ask("I2", HI, call("c1"))
    assert session.inference("I1")["tool_call_ids_started_by_response"] == ["c1"]


def test_the_next_sighting_may_be_in_the_unchanged_head_of_a_long_request(session: Session) -> None:
    session.ask("I1", HI)
    session.complete("I1", call("c1"))
    session.ask("I2", HI, call("c1"), user("a"))
    session.tool("c1", "web")
    session.tool("c2", "web")
    session.complete("I2", call("c2"))
    session.ask("I3", HI, call("c1"), user("a"), call("c2"))
    session.ask("I4", HI, call("c1"), user("a"), call("c2"), user("b"))
    assert session.inference("I2")["tool_call_ids_started_by_response"] == ["c2"]


def test_a_tool_finds_the_items_its_thread_has_shown(session: Session) -> None:
    session.ask("I1", HI, call("c1"), code("c2"), output("c1"), output("c2"))
    session.tool("c1", "web")
    session.tool("c2", "web")
    assert links(session) == (["conversation_item:2"], ["conversation_item:4"])
    assert links(session, "c2") == (["conversation_item:3"], ["conversation_item:5"])


def test_items_come_by_id_in_schema_1_and_as_they_were_made_in_schema_2(old: Session, new: Session) -> None:
    for session in (old, new):
        session.ask(
            "I1", *(user(str(number)) for number in range(8)), call("c1"), call("c1"), output("c1"), output("c1")
        )
        session.tool("c1", "web")
    ninth, tenth, outputs = (
        "conversation_item:9",
        "conversation_item:10",
        ["conversation_item:11", "conversation_item:12"],
    )
    assert (links(old), links(new)) == (([tenth, ninth], outputs), ([ninth, tenth], outputs))


def test_items_of_other_threads_count_only_after_the_start(session: Session) -> None:
    session.child()
    session.turn("T2")
    session.ask("I1", call("c1"), call("c2"))
    session.at = (ROOT, "T1")
    session.tool("c1", "web")
    session.tool("c3", "web")
    session.child("44444444-4444-7444-8444-444444444444", "/root/other")
    session.turn("T3")
    session.ask("I2", call("c3"))
    assert (links(session)[0], links(session, "c3")[0]) == ([], ["conversation_item:3"])


def test_a_tool_need_not_be_visible_to_the_model(session: Session) -> None:
    session.tool("t1", "web", model_visible_call_id=None, code_mode_runtime_tool_id="7")
    tool = session.object("tool_calls", "t1")
    assert (tool["model_visible_call_id"], tool["code_mode_runtime_tool_id"]) == (None, "7")


def test_a_tool_takes_its_thread_from_its_turn(session: Session) -> None:
    session.tool("t1", "web", thread=None)
    assert session.object("tool_calls", "t1")["thread_id"] == ROOT
    session.tool("t2", "web", turn=None)
    assert session.object("tool_calls", "t2")["started_by_codex_turn_id"] is None


# --- ends -------------------------------------------------------------------------------------------------------------


def test_the_last_end_of_a_tool_counts(session: Session) -> None:
    session.tool("t1", "web")
    session.end_tool("t1", {"out": 1}, "failed")
    session.end_tool("t1", None, "cancelled")
    tool = session.object("tool_calls", "t1")
    assert (tool["execution"]["status"], tool["execution"]["ended_seq"]) == ("cancelled", session.seq)
    assert tool["raw_result_payload_id"] is None


def test_runtime_payloads_are_kept_once_each_and_end_nothing(session: Session) -> None:
    session.tool("t1", "web")
    session.begin("t1", {"a": 1})
    session.finish_run("t1", {"b": 2})
    session.finish_run("t1", {"c": 3}, "failed")
    tool = session.object("tool_calls", "t1")
    assert tool["raw_runtime_payload_ids"] == ["raw_payload:1", "raw_payload:2", "raw_payload:3"]
    assert tool["execution"]["status"] == "running"


def test_a_turn_leaves_its_tools_running(session: Session) -> None:
    session.tool("t1", "web")
    session.end_turn("aborted")
    assert session.object("tool_calls", "t1")["execution"]["status"] == "running"


# --- kinds ------------------------------------------------------------------------------------------------------------


def test_the_runtime_names_the_mcp_server_in_schema_1(old: Session) -> None:
    old.tool("t1", {"type": "other", "name": "s__t"})
    old.begin("t1", {"invocation": {"server": "s", "tool": "t", "arguments": None}})
    assert old.object("tool_calls", "t1")["kind"] == MCP


def test_the_runtime_says_the_kind_in_schema_2(new: Session) -> None:
    new.tool("t1", {"type": "other", "name": "s__t"})
    new.begin("t1", {"invocation": {"server": "x", "tool": "y"}}, MCP)
    assert new.object("tool_calls", "t1")["kind"] == MCP


@pytest.mark.parametrize("kind", [None, {"type": "unheard of"}, {"type": "other"}, "web"])
def test_a_runtime_that_says_no_known_kind_is_refused_in_schema_2(new: Session, kind: Any) -> None:
    new.tool("t1", "web")
    ref = new.payload({})
    with pytest.raises(ReductionError, match="of no known kind"):
        new.event("tool_call_runtime_started", tool_call_id="t1", runtime_payload=ref, kind=kind)


@pytest.mark.parametrize("invocation", [None, {}, {"server": "s"}, {"server": "s", "tool": 5}])
def test_an_mcp_call_that_names_no_tool_is_refused_in_schema_1(old: Session, invocation: Any) -> None:
    old.tool("t1", "web")
    with pytest.raises(ReductionError, match="the MCP call in payload raw_payload:1 cannot be read"):
        old.begin("t1", {"invocation": invocation})


def test_a_tool_gets_one_mcp_id(session: Session) -> None:
    session.tool("t1", MCP)
    session.tool("t2", MCP)
    for tool_id in ("t1", "t2"):
        session.event("mcp_tool_call_correlation_assigned", tool_call_id=tool_id, mcp_call_id="m1")
        assert session.object("tool_calls", tool_id)["mcp_call_id"] == "m1"
    with pytest.raises(ReductionError, match="gets a second MCP id"):
        session.event("mcp_tool_call_correlation_assigned", tool_call_id="t1", mcp_call_id="m1")


# --- refused ----------------------------------------------------------------------------------------------------------

REFUSED: dict[str, Callable[[Session], object]] = {
    "starts a second time": lambda session: session.tool("t1", "web", model_visible_call_id=None),
    "call id t1 already belongs to tool call t1": lambda session: session.tool("t2", "web", model_visible_call_id="t1"),
    "the runtime ends of tool call t9, which did not start": lambda session: session.finish_run("t9", {}),
    "the end of tool call t9, which did not start": lambda session: session.end_tool("t9"),
    "an MCP id is given of tool call t9": lambda session: session.event(
        "mcp_tool_call_correlation_assigned", tool_call_id="t9", mcp_call_id="m1"
    ),
    "names thread elsewhere, which did not start": lambda session: session.tool("t2", "web", thread="elsewhere"),
    "names turn T9, which did not start": lambda session: session.tool("t2", "web", turn="T9"),
    "names no thread and no turn": lambda session: session.tool("t2", "web", thread=None, turn=None),
    "runtime cell 7 of thread": lambda session: session.tool(
        "t2", "web", requester={"type": "code_cell", "runtime_cell_id": "7"}
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_refused_of_tools(session: Session, sentence: str) -> None:
    session.tool("t1", "web")
    with pytest.raises(ReductionError, match=sentence):
        REFUSED[sentence](session)
