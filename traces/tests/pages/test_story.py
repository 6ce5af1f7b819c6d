"""Calls as they end flow in; the sentences are exactly those that the pages promise."""

from dataclasses import dataclass

import pytest

from traces.pages.story import (
    CARRIED_ON,
    NO_LATER_REQUEST,
    NOT_CARRIED_ON,
    Call,
    change,
    cut,
    evidence_sentence,
    fates,
    how_known,
    is_retry,
)


@dataclass
class Ended:
    """What is known of an end."""

    kind: str = "inference_call"
    status: str = "completed"
    evidence: str = "observed"
    evidence_seq: int | None = 13
    evidence_text: str = ""
    late_seq: int | None = None
    late_items: int = 0
    started_at_ms: int = 1_000
    ended_at_ms: int | None = 2_000


SENTENCES = [
    (Ended(), "Completed — the provider finished the response · event 13"),
    (
        Ended(status="cancelled", evidence_seq=82, evidence_text="stream dropped"),
        "Cancelled — the client stopped reading the stream: stream dropped · event 82",
    ),
    (
        Ended(status="cancelled", evidence_seq=82, evidence_text="  "),
        "Cancelled — the client stopped reading the stream · event 82",
    ),
    (Ended(status="failed", evidence_seq=45, evidence_text="503 busy"), "Failed — 503 busy · event 45"),
    (Ended(status="failed", evidence_seq=45), "Failed — the stream failed and no error was given · event 45"),
    (
        Ended(status="cancelled", evidence="turn_end", evidence_seq=24),
        "Cancelled — closed when its turn ended (event 24); no terminal event was recorded",
    ),
    (
        Ended(status="cancelled", evidence="turn_end", evidence_seq=24, late_seq=26, late_items=3),
        "Cancelled — closed when its turn ended (event 24); its own end came later (event 26) with 3 complete items",
    ),
    (
        Ended(status="aborted", evidence="turn_end", evidence_seq=31, late_seq=33, late_items=1),
        "Aborted — closed when its turn ended (event 31); its own end came later (event 33) with 1 complete item",
    ),
    (
        Ended(status="failed", evidence="turn_end", evidence_seq=31, late_seq=33),
        "Failed — closed when its turn ended (event 31); its own end came later (event 33) with no complete item",
    ),
    (Ended(status="running", evidence="none", evidence_seq=None), "Running — the recording stops here"),
    (Ended(kind="codex_turn", status="cancelled", evidence_seq=85), "Cancelled — the turn was cancelled · event 85"),
    (Ended(kind="tool_call", status="failed", evidence_seq=9), "Failed — the tool call failed · event 9"),
    (Ended(kind="compaction", evidence_seq=15), "Completed — the shorter history was installed · event 15"),
    (
        Ended(kind="compaction_request", status="failed", evidence_seq=14, evidence_text="got 0"),
        "Failed — the request for a shorter history failed: got 0 · event 14",
    ),
]


@pytest.mark.parametrize(("ended", "sentence"), SENTENCES)
def test_evidence_in_one_sentence(ended: Ended, sentence: str) -> None:
    assert evidence_sentence(ended).text == sentence


def test_what_is_inferred_says_so() -> None:
    repaired = Ended(status="cancelled", evidence="turn_end", evidence_seq=24)
    assert evidence_sentence(repaired).inferred
    assert how_known(repaired) == "Inferred: a repair by the reader, not evidence."
    assert not evidence_sentence(Ended()).inferred


def test_events_are_links_and_errors_are_quotes() -> None:
    pieces = evidence_sentence(Ended(status="failed", evidence_seq=45, evidence_text="503 busy")).pieces
    assert [(piece.kind, piece.seq) for piece in pieces] == [("said", None), ("words", None), ("event", 45)]


FAILED = Call("failed", "turn", ["a", "b"], ["c"], {"out"})


@pytest.mark.parametrize(
    ("later", "again"),
    [
        (Call("completed", "turn", ["a", "b"], ()), True),
        (Call("completed", "turn", ["a", "b", "c"], ()), True),
        (Call("completed", "turn", ["a", "b", "c", "out"], ()), True),
        (Call("completed", "turn", ["a", "b", "c", "new"], ()), False),
        (Call("completed", "turn", ["a"], ()), False),
        (Call("completed", "turn", ["x", "b"], ()), False),
        (Call("completed", "another turn", ["a", "b"], ()), False),
    ],
)
def test_a_retry_has_the_same_turn_and_input(later: Call, again: bool) -> None:
    assert is_retry(FAILED, later) is again


def test_only_a_failure_is_retried() -> None:
    cancelled = Call("cancelled", "turn", ["a", "b"], ())
    assert not is_retry(cancelled, Call("completed", "turn", ["a", "b"], ()))


def test_the_fate_of_partial_items() -> None:
    found = fates(["c", "d"], ["a", "b", "c"])
    assert [(fate.word, fate.place) for fate in found] == [(CARRIED_ON, 3), (NOT_CARRIED_ON, None)]
    assert [fate.word for fate in fates(["c"], None)] == [NO_LATER_REQUEST]


def test_a_request_against_the_one_before() -> None:
    compared = change(["a", "b", "c"], ["a", "c", "d"])
    assert (compared.kept, compared.added, compared.removed) == (["a", "c"], ["d"], 1)
    assert change(None, ["a"]).added == ["a"]


def test_a_cut_stands_where_a_response_is_incomplete() -> None:
    assert cut(Ended(), 3) is None
    cancelled = cut(Ended(status="cancelled", evidence_seq=82), 3)
    assert cancelled
    assert (cancelled.word, cancelled.at_ms, cancelled.seq) == ("Cut here", 2_000, 82)
    running = cut(Ended(status="running", evidence="none", evidence_seq=None, ended_at_ms=None), 0)
    assert running
    assert (running.word, running.at_ms, running.seq) == ("The recording stops here", None, None)
