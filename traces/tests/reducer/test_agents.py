"""Sessions with several agents flow in, edges from one to another flow out."""

import json
from typing import Any

import pytest

from traces.reducer import ReductionError
from traces.tests.reducer.builder import CHILD, ROOT, THIRD, Session
from traces.tests.reducer.items import agent_message, assistant, sealed_part, user

SPAWN_EDGE = f"edge:spawn:{ROOT}:{CHILD}"
KID = "/root/kid"


def invoke(session: Session, tool_id: str, kind: str, arguments: Any = None) -> None:
    """The model calls a tool that touches an agent."""
    text = json.dumps({"message": "do it"}) if arguments is None else arguments
    invocation = {"tool_name": kind, "payload": {"type": "function", "arguments": text}}
    session.tool(tool_id, kind, invocation=invocation)


def acts(session: Session, tool_id: str, kind: str, agent: str = CHILD) -> None:
    """The runtime says what happened to the agent, as later clients do."""
    activity = {"event_id": "e", "occurred_at_ms": 5, "agent_thread_id": agent, "agent_path": KID, "kind": kind}
    session.finish_run(tool_id, activity)


def old_spawn(session: Session, tool_id: str, **more: Any) -> None:
    """The runtime says it as early clients do."""
    ids = {"call_id": tool_id, "sender_thread_id": ROOT, "new_thread_id": CHILD}
    about = {"prompt": "do it", "model": "m", "reasoning_effort": "low", "status": "running"}
    session.finish_run(tool_id, {**ids, **about, **more})


def child_sees(session: Session, *items: dict[str, Any]) -> None:
    if CHILD not in session.reducer.graph.threads:
        session.child(CHILD, KID)
    session.turn("T2", CHILD)
    session.ask("I2", *items)


def edge(session: Session, edge_id: str) -> dict[str, Any]:
    return session.object("interaction_edges", edge_id)


def edges(session: Session) -> list[str]:
    return sorted(session.reducer.graph.interaction_edges)


# --- spawning ---------------------------------------------------------------------------------------------------------


def test_a_spawn_leads_to_the_message_the_child_sees(session: Session) -> None:
    invoke(session, "t1", "spawn_agent")
    acts(session, "t1", "started")
    ended = 1000 + 10 * session.seq
    assert edges(session) == []
    child_sees(session, user("context"), agent_message("/root", KID, "do it"))
    found = edge(session, SPAWN_EDGE)
    assert (found["kind"], found["source"]) == ("spawn_agent", {"type": "tool_call", "tool_call_id": "t1"})
    assert found["target"] == {"type": "conversation_item", "item_id": "conversation_item:2"}
    assert found["carried_item_ids"] == ["conversation_item:2"]
    assert found["carried_raw_payload_ids"] == ["raw_payload:1", "raw_payload:2"]
    assert found["ended_at_unix_ms"] == ended


def test_a_spawn_whose_message_is_never_seen_leads_to_the_thread(session: Session) -> None:
    invoke(session, "t1", "spawn_agent")
    acts(session, "t1", "started")
    session.end_tool("t1", {"out": 1})
    child_sees(session, user("context"))
    assert edges(session) == []
    session.reducer.finish()
    found = edge(session, SPAWN_EDGE)
    assert (found["target"], found["carried_item_ids"]) == ({"type": "thread", "thread_id": CHILD}, [])
    assert found["carried_raw_payload_ids"] == ["raw_payload:1", "raw_payload:2", "raw_payload:3"]


def test_a_spawn_of_a_thread_that_never_started_leads_nowhere(session: Session) -> None:
    invoke(session, "t1", "spawn_agent")
    acts(session, "t1", "started")
    session.reducer.finish()
    assert edges(session) == []


def test_early_clients_say_a_spawn_in_other_words(session: Session) -> None:
    session.tool("t1", "spawn_agent")
    old_spawn(session, "t1")
    letter = {"author": "/root", "recipient": KID, "content": "do it", "trigger_turn": True}
    child_sees(session, assistant(json.dumps(letter)))
    assert edge(session, SPAWN_EDGE)["target"]["item_id"] == "conversation_item:1"


@pytest.mark.parametrize("spelled", [CHILD.upper(), f"urn:uuid:{CHILD}", f"{{{CHILD}}}", CHILD.replace("-", "")])
def test_thread_ids_are_uuids_however_they_are_spelled(session: Session, spelled: str) -> None:
    session.tool("t1", "spawn_agent")
    old_spawn(session, "t1", new_thread_id=spelled)
    session.child(CHILD, KID)
    session.reducer.finish()
    assert edges(session) == [SPAWN_EDGE]


def test_a_spawn_that_failed_makes_no_edge(session: Session) -> None:
    session.tool("t1", "spawn_agent")
    old_spawn(session, "t1", new_thread_id=None, status={"errored": "no"})
    session.child(CHILD, KID)
    session.reducer.finish()
    assert edges(session) == []


# --- saying and closing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["send_message", "assign_agent_task"])
def test_something_said_leads_to_the_message(session: Session, kind: str) -> None:
    session.child(CHILD, KID)
    session.at = (ROOT, "T1")
    invoke(session, "t1", kind)
    acts(session, "t1", "interacted")
    child_sees(session, agent_message("/root", KID, "heading", sealed_part("do it")))
    assert (edge(session, "edge:tool:t1")["kind"], edges(session)) == (kind, ["edge:tool:t1"])


def test_something_said_that_is_never_seen_leaves_no_edge(session: Session) -> None:
    session.child(CHILD, KID)
    session.at = (ROOT, "T1")
    invoke(session, "t1", "send_message")
    acts(session, "t1", "interacted")
    session.reducer.finish()
    assert edges(session) == []


@pytest.mark.parametrize(
    "item",
    [
        agent_message("/root", "/root/other", "do it"),
        agent_message("/root", KID, "do it", "twice"),
        agent_message("/root", KID, "something else"),
        assistant("do it"),
        user("do it"),
    ],
)
def test_recipient_and_text_must_agree(session: Session, item: dict[str, Any]) -> None:
    session.child(CHILD, KID)
    session.at = (ROOT, "T1")
    invoke(session, "t1", "send_message")
    acts(session, "t1", "interacted")
    child_sees(session, item)
    assert edges(session) == []


def test_an_edge_may_find_a_message_that_was_there_before(session: Session) -> None:
    child_sees(session, agent_message("/root", KID, "do it"), agent_message("/root", KID, "do it"))
    session.at = (ROOT, "T1")
    for tool_id in ("t1", "t2"):
        invoke(session, tool_id, "send_message")
        acts(session, tool_id, "interacted")
    targets = [edge(session, edge_id)["target"]["item_id"] for edge_id in edges(session)]
    assert targets == ["conversation_item:1", "conversation_item:2"]


def test_an_accepted_message_is_a_target_at_once(new: Session) -> None:
    new.child(CHILD, KID)
    new.at = (ROOT, "T1")
    invoke(new, "t1", "send_message")
    acts(new, "t1", "interacted")
    new.at = (CHILD, None)
    new.accept("a1", agent_message("/root", KID, "do it", id="a1"))
    assert edges(new) == ["edge:tool:t1"]


def test_closing_leads_to_the_thread(session: Session) -> None:
    session.child(CHILD, KID)
    session.at = (ROOT, "T1")
    session.tool("t1", "close_agent")
    acts(session, "t1", "interrupted")
    found = edge(session, "edge:tool:t1")
    assert (found["kind"], found["target"]) == ("close_agent", {"type": "thread", "thread_id": CHILD})


def test_closing_an_unknown_thread_leaves_no_edge(session: Session) -> None:
    session.tool("t1", "close_agent")
    acts(session, "t1", "interrupted")
    assert edges(session) == []


def test_begin_and_end_of_a_tool_are_one_edge(session: Session) -> None:
    session.child(CHILD, KID)
    session.at = (ROOT, "T1")
    session.tool("t1", "close_agent")
    ids = {"call_id": "t1", "sender_thread_id": ROOT, "receiver_thread_id": CHILD}
    session.begin("t1", ids)
    assert edge(session, "edge:tool:t1")["ended_at_unix_ms"] is None
    session.finish_run("t1", {**ids, "status": "shutdown"})
    session.end_tool("t1", {"out": 1})
    found = edge(session, "edge:tool:t1")
    assert found["ended_at_unix_ms"] == 1000 + 10 * (session.seq - 1)
    assert found["carried_raw_payload_ids"] == [f"raw_payload:{number}" for number in (2, 3, 4)]


# --- activities -------------------------------------------------------------------------------------------------------


def test_completed_says_nothing_of_an_edge(session: Session) -> None:
    session.tool("t1", "web")
    acts(session, "t1", "completed")
    assert edges(session) == []


def test_an_activity_of_another_kind_of_tool_is_refused(session: Session) -> None:
    invoke(session, "t1", "spawn_agent")
    with pytest.raises(ReductionError, match="an agent interacted, but tool call t1 does something else"):
        acts(session, "t1", "interacted")


def test_an_mcp_tool_says_nothing_of_agents_in_schema_2_only(old: Session, new: Session) -> None:
    for session in (old, new):
        session.tool("t1", {"type": "mcp", "server": "s", "tool": "t"})
    acts(new, "t1", "started")
    with pytest.raises(ReductionError, match="does something else"):
        acts(old, "t1", "started")


@pytest.mark.parametrize("arguments", [5, "{", "{}", '{"message":5}', '{"message":"a","message":"b"}'])
def test_an_activity_needs_the_message_of_its_call(session: Session, arguments: Any) -> None:
    invoke(session, "t1", "spawn_agent", arguments)
    with pytest.raises(ReductionError, match="arguments"):
        acts(session, "t1", "started")


BAD_BODIES: list[dict[str, Any]] = [
    {"agent_thread_id": None},
    {"agent_thread_id": "5"},
    {"kind": "vanished"},
    {"agent_path": "/home"},
    {"agent_path": "/root/Kid"},
    {"event_id": None},
    {"occurred_at_ms": "5"},
]


@pytest.mark.parametrize("bad", BAD_BODIES)
def test_an_activity_that_is_none_is_refused(session: Session, bad: dict[str, Any]) -> None:
    invoke(session, "t1", "spawn_agent")
    activity = {"event_id": "e", "agent_thread_id": CHILD, "agent_path": KID, "kind": "started", **bad}
    with pytest.raises(ReductionError, match="of tool call t1 cannot be read"):
        session.finish_run("t1", activity)


# --- results ----------------------------------------------------------------------------------------------------------


def report(session: Session, edge_id: str = "e1", child: str = CHILD, message: str = "done", turn: str = "T2") -> None:
    session.at = (ROOT, "T1")
    session.event(
        "agent_result_observed",
        edge_id=edge_id,
        child_thread_id=child,
        child_codex_turn_id=turn,
        parent_thread_id=ROOT,
        message=message,
        carried_payload=session.payload({"x": 1}),
    )


def test_a_result_leads_from_the_childs_last_words_to_the_parents_item(session: Session) -> None:
    child_sees(session, user("work"))
    session.complete("I2", assistant("first"), assistant("done"))
    report(session)
    session.ask("I3", agent_message(KID, "/root", "done"))
    found = edge(session, "e1")
    assert found["kind"] == "agent_result"
    assert found["source"] == {"type": "conversation_item", "item_id": "conversation_item:3"}
    assert found["target"] == {"type": "conversation_item", "item_id": "conversation_item:4"}
    assert found["carried_raw_payload_ids"] == ["raw_payload:4"]


def test_a_child_that_said_nothing_is_the_source_itself(session: Session) -> None:
    child_sees(session, user("work"))
    report(session)
    session.ask("I3", agent_message(KID, "/root", "done"))
    assert edge(session, "e1")["source"] == {"type": "thread", "thread_id": CHILD}


def test_words_of_another_turn_are_not_the_answer(session: Session) -> None:
    child_sees(session, user("work"))
    session.complete("I2", assistant("done"))
    report(session, turn="T9")
    session.ask("I3", agent_message(KID, "/root", "done"))
    assert edge(session, "e1")["source"] == {"type": "thread", "thread_id": CHILD}


def test_a_result_of_an_unknown_thread_is_refused(session: Session) -> None:
    with pytest.raises(ReductionError, match=f"the result comes from thread {THIRD}, which did not start"):
        report(session, child=THIRD)


def test_a_result_with_other_words_under_the_same_id_is_refused(session: Session) -> None:
    child_sees(session, user("work"))
    report(session)
    report(session)
    with pytest.raises(ReductionError, match="edge e1 is seen again with something else"):
        report(session, message="other")
