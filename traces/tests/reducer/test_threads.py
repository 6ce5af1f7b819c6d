"""Frames of sessions flow in, threads, turns and the rollout flow out, and what each schema refuses of a log."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from traces.bundle.errors import BundleError
from traces.bundle.manifest import Manifest
from traces.reducer import Reducer, ReductionError
from traces.tests.reducer.builder import CHILD, ROOT, THIRD, Session
from traces.tests.reducer.items import user


def state(session: Session) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(session.reducer.state())
    return found


# --- threads ----------------------------------------------------------------------------------------------------------


def test_a_thread_without_metadata_is_a_root(session: Session) -> None:
    thread = session.object("threads", ROOT)
    assert (thread["origin"], thread["agent_path"]) == ({"type": "root"}, "/root")
    assert (thread["nickname"], thread["default_model"]) == (None, None)


def test_a_spawned_thread_knows_its_parent(session: Session) -> None:
    session.child(CHILD, "/root/kid", task_name="task")
    thread = session.object("threads", CHILD)
    assert thread["origin"] == {
        "type": "spawned",
        "parent_thread_id": ROOT,
        "spawn_edge_id": f"edge:spawn:{ROOT}:{CHILD}",
        "task_name": "task",
        "agent_role": "worker",
    }
    assert (thread["nickname"], thread["default_model"]) == ("Kid", "m")


def test_a_task_is_named_after_the_agents_path(session: Session) -> None:
    session.child(CHILD, "/root/kid")
    assert session.object("threads", CHILD)["origin"]["task_name"] == "kid"


def test_the_metadata_knows_the_path_better_than_the_event(session: Session) -> None:
    session.thread(CHILD, "/event", {"agent_path": "/metadata"})
    session.thread(THIRD, "/event", {"session_source": {"subagent": {"thread_spawn": {"agent_path": "/spawn"}}}})
    assert session.object("threads", CHILD)["agent_path"] == "/metadata"
    assert session.object("threads", THIRD)["agent_path"] == "/event"


def test_a_thread_may_end_twice(session: Session) -> None:
    for status in ("failed", "completed"):
        session.event("thread_ended", thread_id=ROOT, status=status)
    assert session.object("threads", ROOT)["execution"]["status"] == "completed"


def test_an_ended_thread_goes_on_in_schema_2(new: Session) -> None:
    new.event("thread_ended", thread_id=ROOT, status="completed")
    new.event("thread_resumed", thread_id=ROOT)
    execution = new.object("threads", ROOT)["execution"]
    assert (execution["status"], execution["ended_seq"], execution["started_seq"]) == ("running", None, 2)


def test_only_an_ended_thread_can_go_on(new: Session) -> None:
    with pytest.raises(ReductionError, match="it has not ended"):
        new.event("thread_resumed", thread_id=ROOT)


def test_only_a_thread_of_this_recording_can_go_on(new: Session) -> None:
    with pytest.raises(ReductionError, match="which did not start"):
        new.event("thread_resumed", thread_id=CHILD)


# --- the rollout ------------------------------------------------------------------------------------------------------


def test_an_empty_log_is_a_running_rollout(session: Session) -> None:
    empty = json.loads(Reducer(session.manifest, lambda ref: b"").state())
    assert (empty["status"], empty["root_thread_id"], empty["threads"]) == ("running", ROOT, {})
    assert ("recording_complete" in empty) is (session.schema == 2)


def test_the_start_of_a_rollout_names_it_anew(session: Session) -> None:
    session.event("rollout_started", trace_id="other", root_thread_id=CHILD)
    assert (state(session)["trace_id"], state(session)["root_thread_id"]) == ("other", CHILD)


def test_a_rollout_ends_and_its_recording_is_complete(session: Session) -> None:
    session.end()
    found = state(session)
    assert (found["status"], found.get("recording_complete")) == ("completed", True if session.schema == 2 else None)
    assert found["ended_at_unix_ms"] == 1000 + 10 * (session.seq - (session.schema == 2))


def test_nothing_follows_a_complete_recording(new: Session) -> None:
    new.end()
    with pytest.raises(ReductionError, match="the recording was complete before this event"):
        new.event("rollout_ended", status="failed")


def test_a_rollout_that_ended_may_go_on(session: Session) -> None:
    session.event("rollout_ended", status="failed")
    session.ask("I1", user("hi"))
    assert state(session)["status"] == "failed"


def test_protocol_events_are_kept_as_payloads_only(session: Session) -> None:
    ref = session.payload({"anything": 1})
    changes = session.event("protocol_event_observed", event_type="x", event_payload=ref)
    assert changes.touched == {"raw_payloads": {"raw_payload:1"}}


@pytest.mark.parametrize("schema", [0, 3, 99])
def test_other_schemas_are_refused(schema: int) -> None:
    with pytest.raises(ReductionError, match=f"schema {schema} is not known"):
        Reducer(Manifest(schema, "t", "r", "h", 0, "trace.jsonl", "payloads"), lambda ref: b"")


# --- strictness -------------------------------------------------------------------------------------------------------

OUT_OF_PLACE: dict[str, tuple[dict[str, Any], str]] = {
    "gap": ({"seq": 9}, "missing or out of order: expected seq 4"),
    "repetition": ({"seq": 3}, "missing or out of order: expected seq 4"),
    "rollout": ({"rollout_id": CHILD}, f"another rollout, {CHILD}"),
    "schema": ({"schema_version": 3}, "the line is of schema 3"),
}


@pytest.mark.parametrize("case", OUT_OF_PLACE)
def test_a_line_in_the_wrong_place_is_refused_in_schema_2(new: Session, case: str) -> None:
    envelope, sentence = OUT_OF_PLACE[case]
    with pytest.raises(ReductionError, match=sentence):
        new.event("rollout_ended", status="completed", envelope=envelope)


@pytest.mark.parametrize("case", OUT_OF_PLACE)
def test_a_line_in_the_wrong_place_is_accepted_in_schema_1(old: Session, case: str) -> None:
    old.event("rollout_ended", status="completed", envelope=OUT_OF_PLACE[case][0])
    assert state(old)["status"] == "completed"


def test_unknown_fields_are_ignored(session: Session) -> None:
    session.event("rollout_ended", status="aborted", extra=[1], envelope={"extra": {"a": None}})
    assert state(session)["status"] == "aborted"


NO_EVENTS: dict[str, Callable[[Session], object]] = {
    "type": lambda session: session.event("rollout_paused"),
    "status": lambda session: session.event("rollout_ended", status="finished"),
    "cancelled": lambda session: session.event("thread_ended", thread_id=ROOT, status="cancelled"),
    "missing": lambda session: session.event("rollout_ended"),
    "null": lambda session: session.event("codex_turn_started", codex_turn_id=None, thread_id=ROOT),
}


@pytest.mark.parametrize("case", NO_EVENTS)
def test_what_is_no_event_is_refused(session: Session, case: str) -> None:
    with pytest.raises(BundleError, match="this line is not an event"):
        NO_EVENTS[case](session)


REFUSED: dict[str, Callable[[Session], object]] = {
    f"thread {ROOT} starts a second time": lambda session: session.thread(ROOT),
    "turn T1 starts a second time": lambda session: session.turn("T1"),
    f"names thread {CHILD}, which did not start": lambda session: session.turn("T2", CHILD),
    "the end of turn T9, which did not start": lambda session: session.end_turn(codex_turn_id="T9"),
    f"turn T1 ends in thread {CHILD}, but it is of {ROOT}": lambda session: session.end_turn(thread=CHILD),
    f"event names thread {CHILD}": lambda session: session.event("thread_ended", thread_id=CHILD, status="failed"),
    "no rule for events of type other": lambda session: session.event(
        "other", kind="x", summary="y", payloads=[], metadata=None
    ),
    "the metadata of a thread in payload raw_payload:1": lambda session: session.thread(CHILD, "/x", {"model": 5}),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_refused_of_threads_and_turns(session: Session, sentence: str) -> None:
    with pytest.raises(ReductionError, match=sentence) as caught:
        REFUSED[sentence](session)
    assert str(caught.value).endswith(f"(seq {session.seq}, line {session.seq})")


# --- payloads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [..., b"", b"{", b"\xef\xbb\xbf{}", b'{"a": "\xff"}', b"NaN"])
def test_a_payload_that_nobody_needs_is_checked_in_schema_2_only(old: Session, new: Session, body: Any) -> None:
    old.event("protocol_event_observed", event_type="x", event_payload=old.payload(body))
    with pytest.raises(ReductionError, match="payload raw_payload:1"):
        new.event("protocol_event_observed", event_type="x", event_payload=new.payload(body))


@pytest.mark.parametrize("body", [..., b"", b"{", b"\xef\xbb\xbf{}", b"NaN", b'{"input": ["\\ud800"]}'])
def test_a_payload_that_is_needed_is_read(session: Session, body: Any) -> None:
    with pytest.raises(ReductionError, match="payload raw_payload:1"):
        session.ask_with("I1", body)


@pytest.mark.parametrize("body", [b'"\\ud800"', b"1e999", b"[" * 200 + b"]" * 200, b'{"a":1,"a":2}', b" 5\n"])
def test_odd_json_that_nobody_needs_is_accepted(session: Session, body: bytes) -> None:
    session.event("protocol_event_observed", event_type="x", event_payload=session.payload(body))
    assert session.object("raw_payloads", "raw_payload:1")["path"] == "payloads/1.json"
