"""Sessions whose history is shortened flow in, compactions with what was before and after flow out."""

from collections.abc import Callable
from typing import Any

import pytest

from traces.reducer import ReductionError
from traces.tests.reducer.builder import CHILD, Session
from traces.tests.reducer.items import assistant, call, user

HI, MORE, SUMMARY = user("hi"), user("more"), user("summary")


def installed(session: Session) -> dict[str, list[str]]:
    found: dict[str, list[str]] = session.object("compactions", "C1")
    return found


def end(session: Session, ends: str = "completed", **more: str) -> None:
    ids: dict[str, Any] = {"compaction_id": "C1", "compaction_request_id": "R1", **more}
    how: dict[str, Any] = {"error": "no"} if ends == "failed" else {"response_payload": session.payload({"output": []})}
    session.event(f"compaction_request_{ends}", **ids, **how)


def test_a_shorter_history_takes_over(session: Session) -> None:
    session.ask("I1", HI, MORE)
    session.shorten("C1", "R1")
    end(session)
    session.install("C1", [HI, MORE], [HI, SUMMARY])
    found = installed(session)
    assert found["input_item_ids"] == ["conversation_item:1", "conversation_item:2"]
    assert found["marker_item_id"] == "conversation_item:3"
    assert found["replacement_item_ids"] == ["conversation_item:4", "conversation_item:5"]
    assert found["request_ids"] == ["R1"]
    session.ask("I2", HI, SUMMARY, user("next"))
    assert (session.asked("I2"), session.history()) == ([4, 5, 6], [1, 2, 3, 4, 5, 6])


def test_the_marker_and_the_new_items_are_made_by_the_compaction(session: Session) -> None:
    session.install("C1", [], [SUMMARY])
    marker, summary = session.items()
    producer = [{"type": "compaction", "compaction_id": "C1"}]
    assert (marker["kind"], marker["body"]["parts"], marker["produced_by"]) == ("compaction_marker", [], producer)
    assert summary["produced_by"] == producer


def test_items_of_the_old_history_are_found_in_any_order(session: Session) -> None:
    session.ask("I1", HI, MORE)
    session.install("C1", [MORE, user("never seen"), HI], [])
    assert installed(session)["input_item_ids"] == [f"conversation_item:{number}" for number in (2, 3, 1)]


def test_outputs_in_the_old_history_are_part_of_it_in_schema_2(new: Session) -> None:
    new.ask("I1", HI)
    new.complete("I1", assistant("a"), assistant("b"))
    new.install("C1", [HI, assistant("b")], [])
    assert new.history() == [1, 3, 4]


def test_only_the_next_request_is_compared_with_the_shorter_history(session: Session) -> None:
    session.ask("I1", HI, MORE)
    session.install("C1", [HI, MORE], [HI])
    session.ask("I2", HI, MORE)
    session.ask("I3", HI, MORE)
    assert (session.asked("I2"), session.asked("I3")) == ([4, 5], [4, 5])


def test_a_response_that_comes_in_between_is_compared_with_nothing(session: Session) -> None:
    session.ask("I1", HI)
    session.install("C1", [HI], [SUMMARY])
    session.complete("I1", assistant("late"))
    session.ask("I2", SUMMARY, assistant("late"))
    assert session.answered("I1") == [4]
    assert session.asked("I2") == [3, 5]


def test_a_response_in_between_is_not_found_by_the_next_compaction_of_schema_2(old: Session, new: Session) -> None:
    for session in (old, new):
        session.ask("I1", HI)
        session.install("C1", [HI], [SUMMARY])
        session.complete("I1", assistant("late"))
        session.install("C2", [HI, assistant("late")], [])
    assert old.object("compactions", "C2")["input_item_ids"] == ["conversation_item:1", "conversation_item:4"]
    assert new.object("compactions", "C2")["input_item_ids"] == ["conversation_item:1", "conversation_item:5"]


def test_requests_that_start_later_do_not_count(session: Session) -> None:
    session.install("C1", [], [])
    session.shorten("C1", "R1")
    assert installed(session)["request_ids"] == []


def test_several_requests_come_by_id(session: Session) -> None:
    session.shorten("C1", "R2")
    session.shorten("C1", "R1")
    session.shorten("C2", "R0")
    session.install("C1", [], [])
    assert installed(session)["request_ids"] == ["R1", "R2"]


def test_a_request_may_fail(session: Session) -> None:
    session.shorten("C1", "R1")
    end(session, "failed")
    found = session.object("compaction_requests", "R1")
    assert (found["execution"]["status"], found["execution"]["ended_seq"]) == ("failed", session.seq)
    assert found["raw_response_payload_id"] is None
    assert session.reducer.graph.compactions == {}


def test_a_turn_does_not_close_a_request(session: Session) -> None:
    session.shorten("C1", "R1")
    session.end_turn("aborted")
    assert session.object("compaction_requests", "R1")["execution"]["status"] == "running"


def test_call_ids_are_checked_in_checkpoints_too(session: Session) -> None:
    session.ask("I1", call("c1", "1"))
    with pytest.raises(ReductionError, match="call id c1 is used again"):
        session.install("C1", [call("c1", "2")], [])


REFUSED: dict[str, Callable[[Session], object]] = {
    "compaction request R1 starts a second time": lambda session: session.shorten("C1", "R1"),
    "request R9, which did not start": lambda session: end(session, compaction_request_id="R9"),
    "ends for another compaction": lambda session: end(session, compaction_id="C9"),
    "compaction C1 is installed a second time": lambda session: session.install("C1", [], []),
    "compaction C2 names no thread or no turn": lambda session: session.install("C2", [], [], turn=None),
    "names turn T9, which did not start": lambda session: session.install("C2", [], [], turn="T9"),
    f"thread {CHILD}, which did not start": lambda session: session.install("C2", [], [], thread=CHILD),
    "has no list input_history": lambda session: session.event(
        "compaction_installed", compaction_id="C2", checkpoint_payload=session.payload({"replacement_history": []})
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_refused_of_compactions(session: Session, sentence: str) -> None:
    session.shorten("C1", "R1")
    session.install("C1", [], [])
    with pytest.raises(ReductionError, match=sentence):
        REFUSED[sentence](session)
