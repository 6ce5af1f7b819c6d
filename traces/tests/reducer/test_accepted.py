"""Receipts of items flow in (schema 2), items that entered a thread's history flow out."""

from typing import Any

import pytest

from traces.reducer import ReductionError
from traces.tests.reducer.builder import CHILD, ROOT, Session
from traces.tests.reducer.items import agent_message, assistant, sealed_part, user

HI = user("hi")
LETTER = agent_message("/root", "/root", "do it", id="a1")


def receipt(session: Session, number: int) -> tuple[Any, Any]:
    item = session.items(number)[0]
    return item.get("accepted_seq"), item.get("accepted_at_unix_ms")


def test_an_accepted_output_is_history(new: Session) -> None:
    new.ask("I1", HI)
    new.complete("I1", assistant("a", id="m1"), assistant("b", id="m2"))
    new.accept("m2")
    assert (receipt(new, 3), receipt(new, 2)) == ((new.seq, 1000 + 10 * new.seq), (None, None))
    assert new.history() == [1, 3]


def test_history_stands_in_the_order_of_making(new: Session) -> None:
    new.ask("I1", HI)
    new.complete("I1", assistant("a", id="m1"), assistant("b", id="m2"))
    new.accept("m2")
    new.accept("m1")
    assert new.history() == [1, 2, 3]


def test_a_receipt_may_come_before_its_item(new: Session) -> None:
    new.accept("m1")
    seq = new.seq
    new.ask("I1", HI)
    new.complete("I1", assistant("a", id="m1"))
    assert (receipt(new, 2)[0], new.history()) == (seq, [1, 2])


def test_the_first_receipt_counts(new: Session) -> None:
    new.accept("m1")
    first = new.seq
    new.ask("I1", user("hi", id="m1"))
    new.accept("m1")
    assert receipt(new, 1)[0] == first


def test_every_item_of_an_id_gets_its_receipt(new: Session) -> None:
    new.ask("I1", user("a", id="m1"), user("b", id="m1"))
    new.accept("m1")
    assert receipt(new, 1) == receipt(new, 2) == (new.seq, 1000 + 10 * new.seq)


def test_an_item_that_learns_its_id_late_gets_its_receipt_then(new: Session) -> None:
    new.ask("I1", HI)
    new.accept("m1")
    seq = new.seq
    assert receipt(new, 1) == (None, None)
    new.ask("I2", user("hi", id="m1"))
    assert receipt(new, 1)[0] == seq


def test_receipts_of_unknown_items_leave_nothing(new: Session) -> None:
    new.accept("m9", turn="T9")
    assert new.items() == []


def test_receipts_of_other_threads_do_not_count(new: Session) -> None:
    new.child()
    new.accept("m1")
    new.at = (ROOT, "T1")
    new.ask("I1", user("hi", id="m1"))
    assert receipt(new, 1) == (None, None)


def test_a_receipt_needs_a_thread_that_started(new: Session) -> None:
    with pytest.raises(ReductionError, match="an item was accepted by no thread"):
        new.accept("m1", thread=None)


def test_a_receipt_of_an_unknown_thread_is_refused(new: Session) -> None:
    with pytest.raises(ReductionError, match=f"thread {CHILD}, which did not start"):
        new.accept("m1", thread=CHILD)


# --- messages between agents that come with their receipt -------------------------------------------------------------


def test_an_accepted_message_is_an_item_at_once(new: Session) -> None:
    new.accept("a1", LETTER)
    item = new.items(1)[0]
    assert (item["responses_item_id"], item["accepted_seq"], item["produced_by"]) == ("a1", new.seq, [])
    assert new.history() == [1]


def test_the_first_sighting_takes_an_accepted_message_over_and_knows_better(new: Session) -> None:
    new.accept("a1", LETTER)
    new.ask("I1", HI, agent_message("/root", "/root", sealed_part("S"), id="a1"))
    assert new.asked("I1") == [2, 1]
    assert new.items(1)[0]["body"]["parts"] == [{"type": "encoded", "label": "encrypted_content", "value": "S"}]
    new.ask("I2", HI, agent_message("/root", "/root", "other", id="a1"))
    assert new.asked("I2") == [2, 3]


def test_without_its_id_a_sighting_is_another_message(new: Session) -> None:
    new.accept("a1", LETTER)
    new.ask("I1", agent_message("/root", "/root", "do it"))
    assert new.asked("I1") == [2]


def test_a_message_that_is_known_is_not_made_again(new: Session) -> None:
    new.ask("I1", LETTER)
    new.accept("a1", agent_message("/root", "/root", "other words", id="a1"))
    assert len(new.items()) == 1
    assert receipt(new, 1)[0] == new.seq


@pytest.mark.parametrize("letter", [LETTER | {"id": "a2"}, user("hi", id="a1"), {"type": "agent_message"}])
def test_a_message_that_does_not_match_its_receipt_is_refused(new: Session, letter: dict[str, Any]) -> None:
    with pytest.raises(ReductionError, match="does not match its receipt a1"):
        new.accept("a1", letter)


def test_schema_1_knows_no_receipts(old: Session) -> None:
    with pytest.raises(ReductionError, match="history_item_accepted are not known to schema 1"):
        old.accept("m1")
