"""Tool calls that run commands and write to them flow in, terminal operations in their sessions flow out."""

from typing import Any

import pytest

from traces.reducer import ReductionError
from traces.tests.reducer.builder import Session
from traces.tests.reducer.items import call, output, user

OP1, OP2, OP3 = (f"terminal_operation:{number}" for number in (1, 2, 3))


def run(session: Session, tool_id: str, process_id: str | None = "9", **more: Any) -> None:
    """A command begins."""
    session.tool(tool_id, "exec_command")
    session.begin(tool_id, {"process_id": process_id, "command": ["ls", "-l a"], "cwd": "/x", **more})


def write(session: Session, tool_id: str, arguments: str, **more: Any) -> None:
    """The model writes to a command."""
    function = {"type": "function", "arguments": arguments}
    invocation = {"tool_name": "write_stdin", "tool_namespace": None, "payload": function, **more}
    session.tool(tool_id, "write_stdin", invocation=invocation)


def operation(session: Session, operation_id: str) -> dict[str, Any]:
    return session.object("terminal_operations", operation_id)


def sessions(session: Session) -> dict[str, list[str]]:
    found = session.reducer.graph.terminal_sessions
    return {session_id: list(found[session_id].operation_ids) for session_id in sorted(found)}


# --- commands ---------------------------------------------------------------------------------------------------------


def test_a_command_is_an_operation_in_a_session(session: Session) -> None:
    run(session, "c1")
    session.finish_run("c1", {"exit_code": 3, "aggregated_output": "out", "stdout": "ignored", "process_id": "9"})
    found = operation(session, OP1)
    assert found["request"] == {
        "type": "exec_command",
        "command": ["ls", "-l a"],
        "display_command": "ls -l a",
        "cwd": "/x",
        "yield_time_ms": None,
        "max_output_tokens": None,
    }
    assert (found["result"]["exit_code"], found["result"]["stdout"]) == (3, "out")
    assert found["raw_payload_ids"] == ["raw_payload:1", "raw_payload:2"]
    tool = session.object("tool_calls", "c1")
    assert tool["summary"] == {"type": "terminal", "operation_id": OP1}
    assert sessions(session) == {f"terminal_session:{OP1}": [OP1]}
    assert session.object("terminal_sessions", f"terminal_session:{OP1}")["execution"]["status"] == "running"


def test_every_command_opens_a_session_even_in_the_same_process(session: Session) -> None:
    run(session, "c1")
    run(session, "c2")
    assert sessions(session) == {f"terminal_session:{op}": [op] for op in (OP1, OP2)}


def test_a_process_that_is_named_at_the_end_opens_the_session_then(session: Session) -> None:
    run(session, "c1", None)
    assert sessions(session) == {}
    start = session.seq
    session.finish_run("c1", {"exit_code": 0, "process_id": "9"})
    assert session.object("terminal_sessions", f"terminal_session:{OP1}")["execution"]["started_seq"] == start


def test_a_process_may_not_change(session: Session) -> None:
    run(session, "c1")
    with pytest.raises(ReductionError, match="changed its process from 9 to 8"):
        session.finish_run("c1", {"exit_code": 0, "process_id": "8"})


@pytest.mark.parametrize(
    "end", [{}, {"exit_code": "0"}, {"exit_code": 2**31}, {"exit_code": 0, "aggregated_output": None}, []]
)
def test_an_end_that_cannot_be_read_is_refused(session: Session, end: Any) -> None:
    run(session, "c1")
    with pytest.raises(ReductionError, match="the end of a terminal operation in payload raw_payload:2"):
        session.finish_run("c1", end)


def test_a_second_runtime_start_is_refused(session: Session) -> None:
    run(session, "c1")
    with pytest.raises(ReductionError, match="a second terminal operation"):
        session.begin("c1", {"command": [], "cwd": ""})


def test_without_a_runtime_end_the_result_ends_nothing_of_a_command(session: Session) -> None:
    run(session, "c1")
    session.end_tool("c1", {"type": "error", "error": "x"}, "failed")
    assert operation(session, OP1)["execution"]["status"] == "running"


def test_the_kind_of_the_runtime_decides_in_schema_2(old: Session, new: Session) -> None:
    begin = {"process_id": "9", "command": ["ls"], "cwd": "/x"}
    for session in (old, new):
        session.tool("c1", {"type": "other", "name": "shell"})
        session.begin("c1", begin, {"type": "exec_command"})
    assert old.reducer.graph.terminal_operations == {}
    assert list(new.reducer.graph.terminal_operations) == [OP1]


def test_what_the_model_saw_is_told_by_the_operation(session: Session) -> None:
    session.ask("I1", user("hi"))
    session.complete("I1", call("c1"))
    run(session, "c1")
    session.ask("I2", user("hi"), call("c1"), output("c1"))
    assert operation(session, OP1)["model_observations"] == [
        {
            "call_item_ids": ["conversation_item:2"],
            "output_item_ids": ["conversation_item:3"],
            "source": "direct_tool_call",
        }
    ]


# --- writes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("session_id", ['"9"', "9"])
def test_a_write_joins_the_session_of_its_process(session: Session, session_id: str) -> None:
    run(session, "c1")
    session.finish_run("c1", {"exit_code": 0})
    write(session, "c2", f'{{"session_id":{session_id},"chars":"y\\n","yield_time_ms":5}}')
    assert operation(session, OP2)["request"] == {
        "type": "write_stdin",
        "stdin": "y\n",
        "yield_time_ms": 5,
        "max_output_tokens": None,
    }
    assert sessions(session) == {f"terminal_session:{OP1}": [OP1, OP2]}


def test_a_write_to_an_unknown_process_opens_a_session(session: Session) -> None:
    write(session, "c1", '{"session_id":"7"}')
    write(session, "c2", '{"session_id":7}')
    assert sessions(session) == {f"terminal_session:{OP1}": [OP1, OP2]}


def test_the_latest_command_of_a_process_gets_the_write(session: Session) -> None:
    run(session, "c1")
    run(session, "c2")
    write(session, "c3", '{"session_id":9}')
    assert operation(session, OP3)["terminal_id"] == f"terminal_session:{OP2}"


def test_a_write_in_a_namespace_is_an_ordinary_tool(session: Session) -> None:
    write(session, "c1", '{"session_id":9}', tool_namespace="mine")
    assert session.reducer.graph.terminal_operations == {}


BAD_ARGUMENTS = [
    "{",
    "{}",
    '{"session_id":null}',
    '{"session_id":""}',
    '{"session_id":true}',
    '{"session_id":1,"session_id":2}',
    '{"session_id":1,"chars":5}',
    '{"session_id":1,"chars":null}',
    '{"session_id":1,"yield_time_ms":-1}',
]


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS)
def test_arguments_that_are_none_are_refused_in_schema_1(old: Session, arguments: str) -> None:
    with pytest.raises(ReductionError, match="the write_stdin call in payload raw_payload:1 cannot be read"):
        write(old, "c1", arguments)


@pytest.mark.parametrize("arguments", BAD_ARGUMENTS)
def test_arguments_that_are_none_make_an_ordinary_tool_in_schema_2(new: Session, arguments: str) -> None:
    write(new, "c1", arguments)
    assert new.reducer.graph.terminal_operations == {}
    assert new.object("tool_calls", "c1")["terminal_operation_id"] is None


@pytest.mark.parametrize(
    "more", [{"tool_name": "x"}, {"payload": {"type": "custom"}}, {"payload": {"type": "function"}}]
)
def test_a_write_that_is_no_call_of_it_is_refused(session: Session, more: dict[str, Any]) -> None:
    with pytest.raises(ReductionError, match="the write_stdin call in payload raw_payload:1"):
        write(session, "c1", "{}", **more)


@pytest.mark.parametrize(
    ("result", "text", "stderr"),
    [
        ({"type": "direct_response", "response_item": {"output": "said"}}, "said", ""),
        ({"type": "direct_response", "response_item": {"output": [{"text": "a"}, 5, {"text": "b"}]}}, "a\nb", ""),
        ({"type": "direct_response", "response_item": {"other": 1}}, '{"other":1}', ""),
        ({"type": "code_mode_response", "value": {"output": "said", "exit_code": 0}}, "said", ""),
        ({"type": "code_mode_response", "value": {"b": 1, "a": 2}}, '{"b":1,"a":2}', ""),
        ({"type": "error", "error": "broken"}, "", "broken"),
        ({"exit_code": 0, "aggregated_output": "said"}, "said", ""),
    ],
)
def test_what_came_back_from_a_write(session: Session, result: dict[str, Any], text: str, stderr: str) -> None:
    write(session, "c1", '{"session_id":9}')
    session.end_tool("c1", result)
    found = operation(session, OP1)
    assert (found["result"]["stdout"], found["result"]["stderr"]) == (text, stderr)
    assert found["execution"]["status"] == "completed"


# --- stdin_target_resolved --------------------------------------------------------------------------------------------


def resolve(session: Session, writer: str, target: str) -> None:
    session.event("stdin_target_resolved", tool_call_id=writer, exec_tool_call_id=target)


def test_a_write_moves_to_the_command_it_went_to(session: Session) -> None:
    run(session, "c1", "8")
    write(session, "c2", '{"session_id":9}')
    resolve(session, "c2", "c1")
    assert sessions(session) == {f"terminal_session:{OP1}": [OP1, OP2]}
    assert operation(session, OP2)["terminal_id"] == f"terminal_session:{OP1}"


def test_a_moved_operation_is_of_the_other_process(session: Session) -> None:
    run(session, "c1", "8")
    run(session, "c2", "9")
    resolve(session, "c2", "c1")
    with pytest.raises(ReductionError, match="changed its process from 8 to 9"):
        session.finish_run("c2", {"exit_code": 0, "process_id": "9"})


def test_a_session_that_was_left_comes_back_with_the_next_write_to_its_process(session: Session) -> None:
    run(session, "c1", "8")
    write(session, "c2", '{"session_id":9}')
    resolve(session, "c2", "c1")
    write(session, "c3", '{"session_id":9}')
    found = session.object("terminal_sessions", f"terminal_session:{OP2}")
    assert (found["created_by_operation_id"], found["operation_ids"]) == (OP3, [OP3])


def test_where_one_has_no_operation_nothing_moves(session: Session) -> None:
    run(session, "c1")
    session.tool("c2", "web")
    resolve(session, "c1", "c2")
    resolve(session, "c2", "c1")
    assert sessions(session) == {f"terminal_session:{OP1}": [OP1]}


@pytest.mark.parametrize(("writer", "target"), [("c9", "c1"), ("c1", "c9")])
def test_unknown_calls_are_refused(session: Session, writer: str, target: str) -> None:
    run(session, "c1")
    with pytest.raises(ReductionError, match="tool call c9, which did not start"):
        resolve(session, writer, target)
