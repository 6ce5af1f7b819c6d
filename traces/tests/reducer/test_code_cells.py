"""Sessions whose model writes code flow in, cells with their answers, nested tools and waits flow out."""

from collections.abc import Callable

import pytest

from traces.reducer import ReductionError
from traces.tests.reducer.builder import ROOT, Session
from traces.tests.reducer.items import assistant, code, code_output, user

HI = user("hi")
CELL = "code_cell:c1"
INSIDE = {"type": "code_cell", "runtime_cell_id": "1"}
EXEC = {"type": "other", "name": "exec"}


def cell(session: Session) -> dict[str, object]:
    return session.object("code_cells", CELL)


def asked(session: Session) -> Session:
    """The model has written code."""
    session.ask("I1", HI)
    session.complete("I1", code("c1"))
    return session


def test_a_cell_belongs_to_the_item_that_asked(session: Session) -> None:
    asked(session).cell("1", "c1", "say(1)")
    assert (cell(session)["source_item_id"], cell(session)["runtime_status"]) == ("conversation_item:2", "starting")
    assert (cell(session)["source_js"], cell(session)["runtime_cell_id"]) == ("say(1)", "1")


def test_a_cell_waits_for_its_item_and_then_hears_what_happened(session: Session) -> None:
    session.ask("I1", HI)
    session.cell("1", "c1")
    started = session.seq
    session.tool("t1", "web", requester=INSIDE)
    session.answer_cell("1", "yielded", {"a": 1})
    session.end_cell("1", "completed", {"b": 2})
    assert session.reducer.graph.code_cells == {}
    session.complete("I1", code("c1"))
    found = session.object("code_cells", CELL)
    assert found["execution"]["started_seq"] == started
    assert (found["execution"]["status"], found["execution"]["ended_seq"]) == ("completed", started + 3)
    assert (found["initial_response_status"], found["yielded_seq"]) == ("yielded", started + 2)
    assert (found["raw_initial_response_payload_id"], found["raw_result_payload_id"]) == (
        "raw_payload:2",
        "raw_payload:3",
    )
    assert found["nested_tool_call_ids"] == ["t1"]


def test_a_cell_that_never_gets_its_item_is_not_there(session: Session) -> None:
    session.ask("I1", HI)
    session.cell("1", "c1")
    session.complete("I1", assistant("no code"))
    session.reducer.finish()
    assert session.reducer.graph.code_cells == {}


def test_the_first_answer_is_kept(session: Session) -> None:
    asked(session).cell("1", "c1")
    session.answer_cell("1", "yielded", {"a": 1})
    first = session.seq
    session.answer_cell("1", "running", {"b": 2})
    found = cell(session)
    assert (found["initial_response_seq"], found["initial_response_status"]) == (first, "yielded")
    assert (found["runtime_status"], found["raw_initial_response_payload_id"]) == ("running", "raw_payload:3")


def test_an_end_without_answer_is_the_time_of_the_answer(session: Session) -> None:
    asked(session).cell("1", "c1")
    session.end_cell("1", "failed")
    assert (cell(session)["initial_response_seq"], cell(session)["initial_response_status"]) == (session.seq, None)
    session.answer_cell("1", "completed", {"a": 1})
    found = session.object("code_cells", CELL)
    assert (found["initial_response_seq"], found["initial_response_status"]) == (session.seq, "completed")
    assert (found["runtime_status"], found["execution"]["status"]) == ("completed", "failed")


def test_every_end_overwrites_the_result(session: Session) -> None:
    asked(session).cell("1", "c1")
    session.end_cell("1", "completed", {"a": 1})
    session.end_cell("1", "terminated")
    found = session.object("code_cells", CELL)
    assert (found["execution"]["status"], found["raw_result_payload_id"]) == ("cancelled", None)


@pytest.mark.parametrize(
    ("turn", "status", "runtime"),
    [
        ("failed", "failed", "failed"),
        ("cancelled", "cancelled", "terminated"),
        ("aborted", "cancelled", "terminated"),
        ("completed", "running", "starting"),
    ],
)
def test_a_turn_takes_its_cells_with_it_unless_it_completes(
    session: Session, turn: str, status: str, runtime: str
) -> None:
    asked(session).cell("1", "c1")
    session.end_turn(turn)
    found = session.object("code_cells", CELL)
    assert (found["execution"]["status"], found["runtime_status"]) == (status, runtime)


def test_a_cell_that_ended_is_not_closed_again(session: Session) -> None:
    asked(session).cell("1", "c1")
    session.end_cell("1")
    session.end_turn("aborted")
    assert session.object("code_cells", CELL)["execution"]["status"] == "completed"


def test_a_cell_produces_the_output_of_its_call(session: Session) -> None:
    asked(session).cell("1", "c1")
    session.ask("I2", HI, code("c1"), code_output("c1"))
    assert cell(session)["output_item_ids"] == ["conversation_item:3"]
    assert session.items(3)[0]["produced_by"] == [{"type": "code_cell", "code_cell_id": CELL}]


# --- tools around a cell ----------------------------------------------------------------------------------------------


def test_tools_of_a_cell_are_nested(session: Session) -> None:
    asked(session).cell("1", "c1")
    session.tool("t2", "web", requester=INSIDE)
    session.tool("t1", "web", requester=INSIDE)
    assert cell(session)["nested_tool_call_ids"] == ["t2", "t1"]
    assert session.object("tool_calls", "t1")["requester"] == {"type": "code_cell", "code_cell_id": CELL}


def test_tools_that_a_waiting_cell_called_come_by_id(session: Session) -> None:
    session.ask("I1", HI)
    session.cell("1", "c1")
    session.tool("t2", "web", requester=INSIDE)
    session.tool("t1", "web", requester=INSIDE)
    session.complete("I1", code("c1"))
    assert cell(session)["nested_tool_call_ids"] == ["t1", "t2"]


def wait(session: Session, tool_id: str, arguments: object, kind: str = "web") -> None:
    invocation = {"tool_name": "wait", "payload": {"type": "function", "arguments": arguments}}
    session.tool(tool_id, kind, invocation=invocation)


def test_a_call_of_wait_is_linked_whatever_its_kind(session: Session) -> None:
    asked(session).cell("1", "c1")
    wait(session, "t1", '{"cell_id":"1"}')
    wait(session, "t2", '{"cell_id":"1"}', "wait_agent")
    wait(session, "t3", '{"cell_id":"unknown"}')
    assert cell(session)["wait_tool_call_ids"] == ["t1", "t2"]


def test_a_waiting_cell_hears_of_no_wait(session: Session) -> None:
    session.ask("I1", HI)
    session.cell("1", "c1")
    wait(session, "t1", '{"cell_id":"1"}')
    session.complete("I1", code("c1"))
    assert cell(session)["wait_tool_call_ids"] == []


@pytest.mark.parametrize("arguments", [None, {}, "{", "{}", '{"cell_id":1}', "[]"])
def test_a_wait_that_names_no_cell_is_refused(session: Session, arguments: object) -> None:
    with pytest.raises(ReductionError, match="the wait call in payload raw_payload:1"):
        wait(session, "t1", arguments)


def test_exec_names_the_cell_it_started_in_schema_2(new: Session) -> None:
    asked(new).cell("1", "c1")
    new.tool("t1", EXEC, model_visible_call_id="c1")
    assert new.object("tool_calls", "t1")["started_code_cell_id"] == CELL


def test_exec_names_the_cell_that_starts_after_it(new: Session) -> None:
    asked(new).tool("t1", EXEC, model_visible_call_id="c1")
    assert "started_code_cell_id" not in new.object("tool_calls", "t1")
    new.cell("1", "c1")
    assert new.object("tool_calls", "t1")["started_code_cell_id"] == CELL


def test_other_tools_name_no_cell(new: Session) -> None:
    asked(new).tool("t1", "web", model_visible_call_id="c1")
    new.cell("1", "c1")
    assert "started_code_cell_id" not in new.object("tool_calls", "t1")


def test_no_tool_names_its_cell_in_schema_1(old: Session) -> None:
    asked(old).tool("t1", EXEC, model_visible_call_id="c1")
    old.cell("1", "c1")
    assert "started_code_cell_id" not in old.object("tool_calls", "t1")


# --- refused ----------------------------------------------------------------------------------------------------------

REFUSED: dict[str, Callable[[Session], object]] = {
    "starts a second time": lambda session: session.cell("1", "c1"),
    "is both code_cell:c1 and code_cell:c2": lambda session: session.cell("1", "c2"),
    f"runtime cell 7 of thread {ROOT} is not known": lambda session: session.end_cell("7"),
    "names no thread and no turn that started": lambda session: session.cell("2", "c2", thread=None, turn=None),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_refused_of_cells(session: Session, sentence: str) -> None:
    asked(session).cell("1", "c1")
    with pytest.raises(ReductionError, match=sentence):
        REFUSED[sentence](session)


def test_a_cell_without_turn_is_refused_when_its_item_is_known(session: Session) -> None:
    with pytest.raises(ReductionError, match="the start of code cell code_cell:c1 names no turn"):
        asked(session).cell("1", "c1", turn=None)


def test_a_refusal_may_wait_with_its_cell(session: Session) -> None:
    session.ask("I1", HI)
    session.cell("1", "c1", turn="T9")
    with pytest.raises(ReductionError, match="names turn T9, which did not start"):
        session.complete("I1", code("c1"))
