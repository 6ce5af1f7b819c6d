"""Sessions whose inference calls end in every way flow in; status, end and evidence of each call flow out."""

from collections.abc import Callable

import pytest

from traces.reducer import Evidence, ReductionError
from traces.tests.reducer.builder import ROOT, Session
from traces.tests.reducer.items import assistant, call, user

QUESTION = user("hi")
PARTIAL = (assistant("a"), call("c1"))


def window(session: Session, call_id: str = "I1") -> tuple[str, int | None, int | None]:
    execution = session.inference(call_id)["execution"]
    return execution["status"], execution["ended_seq"], execution["ended_at_unix_ms"]


def now(session: Session) -> int:
    return 1000 + 10 * session.seq


# --- the six ways -----------------------------------------------------------------------------------------------------


def test_a_call_completes(session: Session) -> None:
    session.ask("I1", QUESTION)
    usage = {"input_tokens": 9, "cached_input_tokens": 4, "output_tokens": 3, "reasoning_output_tokens": 1}
    session.complete("I1", *PARTIAL, usage=usage)
    assert window(session) == ("completed", session.seq, now(session))
    assert session.evidence("I1") == Evidence("observed", session.seq, "inference_completed")
    found = session.inference("I1")
    assert (found["response_id"], found["upstream_request_id"]) == ("resp_I1", "req_I1")
    assert found["usage"] == {**usage, "cache_write_input_tokens": 0}
    assert session.answered("I1") == [2, 3]
    assert found["raw_response_payload_id"] == "raw_payload:2"


def test_a_call_fails_after_complete_items(session: Session) -> None:
    session.ask("I1", QUESTION)
    session.fail("I1", "stream closed before response.completed", *PARTIAL)
    assert window(session) == ("failed", session.seq, now(session))
    assert session.evidence("I1") == Evidence(
        "observed", session.seq, "inference_failed", "stream closed before response.completed"
    )
    assert session.answered("I1") == [2, 3]
    assert session.inference("I1")["response_id"] is None
    assert session.inference("I1")["upstream_request_id"] == "req_I1"


def test_a_call_fails_before_anything_came(session: Session) -> None:
    session.ask("I1", QUESTION)
    session.fail("I1", "500 Internal Server Error")
    assert window(session)[0] == "failed"
    assert session.evidence("I1").text == "500 Internal Server Error"
    assert (session.answered("I1"), session.inference("I1")["raw_response_payload_id"]) == ([], None)


@pytest.mark.parametrize("items", [(), PARTIAL], ids=["nothing", "items"])
def test_a_call_is_cancelled(session: Session, items: tuple[dict[str, str], ...]) -> None:
    session.ask("I1", QUESTION)
    session.cancel("I1", "turn interrupted\nby the user", *items)
    assert window(session) == ("cancelled", session.seq, now(session))
    assert session.evidence("I1") == Evidence(
        "observed", session.seq, "inference_cancelled", "turn interrupted\nby the user"
    )
    assert len(session.answered("I1")) == len(items)


@pytest.mark.parametrize(
    ("turn", "status"),
    [("completed", "cancelled"), ("cancelled", "cancelled"), ("failed", "failed"), ("aborted", "aborted")],
)
def test_a_turn_closes_the_calls_it_leaves_running(session: Session, turn: str, status: str) -> None:
    session.ask("I1", QUESTION)
    session.ask("I2", QUESTION)
    session.complete("I2")
    session.end_turn(turn)
    assert window(session) == (status, session.seq, now(session))
    assert session.evidence("I1") == Evidence("turn_end", session.seq, "codex_turn_ended")
    assert session.evidence("I2").kind == "observed"


def test_a_turn_that_says_running_closes_nothing(session: Session) -> None:
    session.ask("I1", QUESTION)
    session.end_turn("running")
    assert window(session) == ("running", None, None)
    assert session.evidence("I1") == Evidence()


def late_completed(session: Session) -> None:
    session.complete("I1", *PARTIAL)


def late_failed(session: Session) -> None:
    session.fail("I1", "too late", *PARTIAL)


def late_cancelled(session: Session) -> None:
    session.cancel("I1", "too late", *PARTIAL)


@pytest.mark.parametrize("late", [late_completed, late_failed, late_cancelled])
def test_a_late_end_keeps_the_repair_and_adds_what_it_carries(
    session: Session, late: Callable[[Session], None]
) -> None:
    session.ask("I1", QUESTION)
    session.end_turn("aborted")
    repaired = window(session)
    late(session)
    assert window(session) == repaired == ("aborted", session.seq - 1, now(session) - 10)
    event = late.__name__.replace("late", "inference")
    text = "" if event == "inference_completed" else "too late"
    assert session.evidence("I1") == Evidence(
        "turn_end", session.seq - 1, "codex_turn_ended", "", session.seq, event, text, late_items=2
    )
    found = session.inference("I1")
    assert (found["upstream_request_id"], found["raw_response_payload_id"]) == ("req_I1", "raw_payload:2")
    assert found["response_id"] == ("resp_I1" if event == "inference_completed" else None)
    assert session.answered("I1") == [2, 3]


def test_a_late_end_with_nothing_keeps_what_is_known(session: Session) -> None:
    session.ask("I1", QUESTION)
    session.end_turn("completed")
    session.cancel("I1", "gone")
    assert (session.evidence("I1").late_items, session.answered("I1")) == (0, [])
    assert session.inference("I1")["raw_response_payload_id"] is None


def test_nothing_ended_a_call(session: Session) -> None:
    session.ask("I1", QUESTION)
    session.reducer.finish()
    assert window(session) == ("running", None, None)
    assert session.evidence("I1") == Evidence("none")


# --- second ends ------------------------------------------------------------------------------------------------------


def test_a_second_end_changes_neither_status_nor_end(session: Session) -> None:
    session.ask("I1", QUESTION)
    session.fail("I1", "broken")
    first = window(session)
    session.complete("I1", assistant("after all"))
    assert window(session) == first
    evidence = session.evidence("I1")
    assert (evidence.event, evidence.text) == ("inference_failed", "broken")
    assert (evidence.late_seq, evidence.late_event, evidence.late_items) == (session.seq, "inference_completed", 1)
    assert session.inference("I1")["response_id"] == "resp_I1"


def test_a_second_end_without_response_takes_the_response_id_away(session: Session) -> None:
    session.ask("I1", QUESTION)
    session.complete("I1", assistant("a"))
    session.cancel("I1", "gone")
    assert session.inference("I1")["response_id"] is None
    assert session.answered("I1") == [2]


def test_the_same_output_twice_is_two_items_in_schema_1(old: Session) -> None:
    old.ask("I1", QUESTION)
    old.complete("I1", assistant("a", id="m1"))
    old.complete("I1", assistant("a", id="m1"))
    assert old.answered("I1") == [3]


def test_the_same_output_twice_is_one_item_in_schema_2(new: Session) -> None:
    new.ask("I1", QUESTION)
    new.complete("I1", assistant("a", id="m1"))
    new.complete("I1", assistant("a", id="m1"))
    assert new.answered("I1") == [2]
    new.complete("I1", assistant("b", id="m1"))
    assert new.answered("I1") == [3]


def test_usage_stays_where_a_later_end_has_none(session: Session) -> None:
    session.ask("I1", QUESTION)
    counts = {"input_tokens": 1, "cached_input_tokens": -5, "output_tokens": 2, "reasoning_output_tokens": 0}
    session.complete("I1", usage={**counts, "cache_write_input_tokens": 7})
    session.complete("I1", usage={**counts, "input_tokens": 1.0})
    usage = session.inference("I1")["usage"]
    assert usage == {**counts, "cached_input_tokens": 0, "cache_write_input_tokens": 7}


# --- refused ----------------------------------------------------------------------------------------------------------


def test_what_is_refused_of_inference_calls(session: Session) -> None:
    session.ask("I1", QUESTION)
    refused: list[Callable[[], object]] = [
        lambda: session.ask("I1", QUESTION),
        lambda: session.complete("I9"),
        lambda: session.ask_with("I2", {"input": []}, codex_turn_id="T9"),
        lambda: session.ask_with("I2", {"input": []}, thread_id="elsewhere"),
    ]
    for attempt in refused:
        seq = session.seq + 1
        with pytest.raises(ReductionError) as caught:
            attempt()
        assert (caught.value.seq, caught.value.line) == (seq, seq)
        session.lines.pop()


def test_a_call_in_another_threads_turn_is_refused(session: Session) -> None:
    session.child()
    session.at = (session.at[0], "T1")
    with pytest.raises(ReductionError, match=f"belongs to thread {ROOT}"):
        session.ask("I1", QUESTION)


@pytest.mark.parametrize("response", [{}, {"output_items": None}, {"output_items": {}}, []])
def test_a_response_without_output_items_is_refused(session: Session, response: object) -> None:
    session.ask("I1", QUESTION)
    ref = session.payload(response)
    with pytest.raises(ReductionError, match="has no output_items"):
        session.event("inference_completed", inference_call_id="I1", response_payload=ref)


# --- previous_response_id ---------------------------------------------------------------------------------------------


def test_a_request_continues_an_earlier_response(session: Session) -> None:
    session.ask("I1", QUESTION)
    session.complete("I1", assistant("hello"))
    session.ask("I2", user("more"), previous_response_id="resp_I1")
    assert session.asked("I2") == [1, 2, 3]
    assert session.history() == [1, 2, 3]
    session.complete("I2", assistant("done"))
    session.ask("I3", QUESTION, assistant("hello"), user("more"), assistant("done"))
    assert session.asked("I3") == [1, 2, 3, 4]


def test_the_first_call_by_id_answers_for_a_response_id(session: Session) -> None:
    session.ask("I2", QUESTION)
    session.complete("I2", assistant("two"), response_id="same")
    session.ask("I1", user("other"))
    session.complete("I1", assistant("one"), response_id="same")
    session.ask("I3", user("more"), previous_response_id="same")
    assert session.asked("I3") == [*session.asked("I1"), *session.answered("I1"), 5]


def test_what_follows_a_response_must_fit_what_the_thread_showed_since(session: Session) -> None:
    session.ask("I1", QUESTION)
    session.complete("I1")
    session.ask("I2", QUESTION, user("this"))
    with pytest.raises(ReductionError, match="item 1 of the request does not continue"):
        session.ask("I3", user("that"), previous_response_id="resp_I1")


def test_an_unknown_response_is_refused_and_no_string_is_none(session: Session) -> None:
    session.ask("I1", QUESTION, previous_response_id=5)
    assert session.asked("I1") == [1]
    with pytest.raises(ReductionError, match="follows response resp_warm, which is not known"):
        session.ask("I2", QUESTION, previous_response_id="resp_warm")


def test_an_empty_response_id_is_an_id(session: Session) -> None:
    with pytest.raises(ReductionError, match="which is not known"):
        session.ask("I1", QUESTION, previous_response_id="")


def test_responses_of_other_threads_do_not_count(session: Session) -> None:
    session.ask("I1", QUESTION)
    session.complete("I1")
    session.child()
    session.turn("T2")
    with pytest.raises(ReductionError, match="which is not known"):
        session.ask("I2", QUESTION, previous_response_id="resp_I1")


def test_the_input_mode_is_ignored(session: Session) -> None:
    session.ask_with("I1", {"input": [QUESTION]}, request_input_mode={"type": "incremental"})
    assert session.asked("I1") == [1]
