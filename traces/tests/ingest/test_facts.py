"""What the list of rollouts says of a recording, and how the ends of calls are known."""

import pytest

from traces.ingest import ingest_bundle
from traces.models import Node, Rollout
from traces.tests.fixtures.recordings import recording_folder
from traces.tests.ingest.recordings import Bundle

pytestmark = pytest.mark.django_db


def ingested(name: str) -> Rollout:
    """A recording as rows."""
    return ingest_bundle(Bundle(recording_folder(name))).rollout


def test_the_sums_of_the_story() -> None:
    rollout = ingested("0.169.0/story")
    assert rollout.title == "One of the tests in this folder fails since we moved to Decimal. Find out why and fix it."
    assert (rollout.status, rollout.model, rollout.agents, rollout.events) == ("completed", "gpt-5.5", 2, 156)
    assert rollout.counts == {"completed": 13, "failed": 2, "cancelled": 1, "aborted": 0, "running": 0}
    assert (rollout.tokens_in, rollout.tokens_cached) == (146_841, 124_128)
    assert (rollout.tokens_out, rollout.tokens_reasoning, rollout.calls_without_usage) == (1_629, 472, 3)
    assert rollout.duration is not None
    assert rollout.duration.total_seconds() == pytest.approx(7.478)
    assert rollout.recording_complete is True


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("0.125.0/interactive", "first question"),
        ("0.128.0/cancelled_late", "use tools then be stopped"),
        ("0.152.0/agents", "delegate the search"),
        ("0.169.0/killed", "be killed while the model is answering"),
        ("0.169.0/compacted_inline", "fill the context window"),
        ("0.169.0/two_turns.2", "first question"),
    ],
)
def test_the_title_is_what_the_user_typed_first(name: str, title: str) -> None:
    assert ingested(name).title == title


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("0.125.0/interactive", "0.127 or earlier"),
        ("0.128.0/completed", "0.128"),
        ("0.152.0/story", "0.145–0.155"),
        ("0.169.0/story", "0.169 or later"),
        ("0.169.0/killed", "0.166 or later"),
    ],
)
def test_the_client_is_guessed_from_what_it_wrote(name: str, version: str) -> None:
    rollout = ingested(name)
    assert (rollout.client_version, rollout.client_version_guess) == (version, True)


def test_a_killed_recording_is_running() -> None:
    rollout = ingested("0.169.0/killed")
    assert (rollout.status, rollout.ended_at, rollout.counts["running"]) == ("running", None, 1)
    call = rollout.nodes.get(kind=Node.Kind.INFERENCE_CALL, status="running")
    assert (call.evidence, call.evidence_seq, call.ended_at_ms) == ("none", None, None)


def test_a_call_closed_by_its_turn_says_so() -> None:
    call = ingested("0.125.0/interactive").nodes.get(kind=Node.Kind.INFERENCE_CALL, status="cancelled")
    assert (call.evidence, call.evidence_event, call.late_seq) == ("turn_end", "codex_turn_ended", None)
    assert call.evidence_seq == call.ended_seq


def test_an_end_that_came_late_is_kept_beside_the_repair() -> None:
    call = ingested("0.128.0/cancelled_late").nodes.get(kind=Node.Kind.INFERENCE_CALL, status="cancelled")
    assert (call.evidence, call.evidence_seq, call.late_event) == ("turn_end", call.ended_seq, "inference_cancelled")
    assert call.late_seq == 26
    assert call.late_items == 3


def test_a_failure_says_what_the_provider_said() -> None:
    failed = list(ingested("0.169.0/retried").nodes.filter(status="failed", kind=Node.Kind.INFERENCE_CALL))
    assert len(failed) == 2
    assert all(call.evidence == "observed" and call.evidence_text for call in failed)


def test_an_interrupted_turn_says_why() -> None:
    turn = ingested("0.169.0/story").nodes.get(kind=Node.Kind.CODEX_TURN, number=2)
    assert (turn.status, turn.evidence, turn.evidence_seq) == ("cancelled", "observed", 85)
    assert turn.evidence_text == "interrupted"


def test_a_compaction_that_failed_stands_in_the_outline() -> None:
    request = ingested("0.169.0/compacted").nodes.get(kind=Node.Kind.COMPACTION_REQUEST)
    assert (request.status, request.evidence_event) == ("failed", "compaction_request_failed")
    assert "remote compaction" in request.evidence_text


def test_events_know_what_they_are_about() -> None:
    rollout = ingested("0.169.0/story")
    call = rollout.nodes.get(kind=Node.Kind.INFERENCE_CALL, number=9)
    types = list(rollout.log.all().about(call.kind, call.object_id).values_list("type", flat=True))
    assert types == ["inference_started", "inference_cancelled"]


def test_a_turn_that_failed_says_why() -> None:
    turn = ingested("0.169.0/failed_eof").nodes.get(kind=Node.Kind.CODEX_TURN)
    assert (turn.status, turn.evidence_event) == ("failed", "codex_turn_ended")
    assert turn.evidence_text.startswith("stream disconnected before completion")


def test_a_resumed_session_keeps_its_title_and_names_its_turn_anew() -> None:
    rollout = ingested("0.169.0/two_turns.1")
    assert rollout.title == "first question"
    assert rollout.nodes.get(kind=Node.Kind.CODEX_TURN).title == "second question"


def test_a_tool_stands_below_the_late_call_that_asked_for_it() -> None:
    tool = ingested("0.128.0/cancelled_late").nodes.get(kind=Node.Kind.TOOL_CALL, title="echo never")
    assert tool.parent is not None
    assert (tool.parent.kind, tool.parent.status) == (Node.Kind.INFERENCE_CALL, "cancelled")
