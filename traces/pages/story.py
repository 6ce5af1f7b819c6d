"""A call and the calls around it flow in, sentences flow out: how it ended, how that is known, what happened next."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

WORDS = {
    "completed": "Completed",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "aborted": "Aborted",
    "running": "Running",
}
CARRIED_ON, NOT_CARRIED_ON, NO_LATER_REQUEST = "carried on", "not carried on", "no later request"


class Known(Protocol):
    """What is known of how an object ended: the columns of a node that a sentence needs."""

    kind: str
    status: str
    evidence: str
    evidence_seq: int | None
    evidence_text: str
    late_seq: int | None
    late_items: int
    started_at_ms: int
    ended_at_ms: int | None


@dataclass(frozen=True)
class Piece:
    """A piece of a sentence: our words, what a machine said verbatim, or an event that proves it."""

    kind: Literal["words", "said", "event"]
    text: str
    seq: int | None = None


@dataclass(frozen=True)
class Sentence:
    """One sentence of evidence; the page makes links of its events."""

    status: str
    inferred: bool
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        """As it reads."""
        return f"{WORDS[self.status]} — " + "".join(piece.text for piece in self.pieces)


def words(text: str) -> Piece:
    """Our own words."""
    return Piece("words", text)


def event(seq: int) -> Piece:
    """A link to the event that shows it."""
    return Piece("event", f"event {seq}", seq)


def evidence_sentence(known: Known) -> Sentence:
    """How this object ended and how that is known, in one sentence."""
    if known.evidence == "turn_end":
        return Sentence(known.status, True, (*_closed_by_turn(known),))
    if known.status == "running":
        return Sentence(known.status, False, (words("the recording stops here"),))
    proof = (words(" · "), event(known.evidence_seq)) if known.evidence_seq is not None else ()
    return Sentence(known.status, False, (*_observed(known), *proof))


def _closed_by_turn(known: Known) -> list[Piece]:
    pieces = [words("closed when its turn ended (")]
    pieces.append(event(known.evidence_seq) if known.evidence_seq is not None else words("event unknown"))
    if known.late_seq is None:
        return [*pieces, words("); no terminal event was recorded")]
    kept = items(known.late_items)
    return [*pieces, words("); its own end came later ("), event(known.late_seq), words(f") with {kept}")]


def items(count: int) -> str:
    """3 complete items, 1 complete item, no complete item."""
    return f"{count or 'no'} complete item{'s' if count > 1 else ''}"


INFERENCE_ENDS = {
    "completed": "the provider finished the response",
    "failed": "the stream failed and no error was given",
    "cancelled": "the client stopped reading the stream",
    "aborted": "its turn was aborted",
}
SUBJECTS = {
    "thread": "the agent",
    "codex_turn": "the turn",
    "tool_call": "the tool call",
    "terminal_operation": "the terminal operation",
    "code_cell": "the code cell",
    "compaction_request": "the request for a shorter history",
}
OTHER_ENDS = {"completed": "ended", "failed": "failed", "cancelled": "was cancelled", "aborted": "was aborted"}


def _observed(known: Known) -> list[Piece]:
    if known.kind != "inference_call":
        return _observed_end(known)
    said = Piece("said", known.evidence_text.strip())
    if not said.text or known.status == "completed":
        return [words(INFERENCE_ENDS[known.status])]
    if known.status == "cancelled":
        return [words("the client stopped reading the stream: "), said]
    return [said]


def _observed_end(known: Known) -> list[Piece]:
    if known.kind == "compaction":
        return [words("the shorter history was installed")]
    end = words(f"{SUBJECTS.get(known.kind, 'it')} {OTHER_ENDS[known.status]}")
    said = known.evidence_text.strip()
    return [end, words(": "), Piece("said", said)] if said else [end]


def how_known(known: Known) -> str:
    """The line under the sentence."""
    if known.evidence == "turn_end" and known.late_seq is not None:
        return "Inferred at the turn's end. Status and end stay as they were; its partial output is shown."
    if known.evidence == "turn_end":
        return "Inferred: a repair by the reader, not evidence."
    if known.status == "running":
        return "No end was recorded: the writer was gone, or still at work, when the recording stopped."
    return "Observed: the recording holds the event that ended it."


@dataclass(frozen=True)
class Call:
    """What two requests are compared by."""

    status: str
    turn_id: str
    request: Sequence[str]
    response: Sequence[str]
    outputs: Collection[str] = ()  # what came back for tool calls among its response items


def is_retry(failed: Call, later: Call) -> bool:
    """Whether the later call is the next attempt: same turn, same input, plus at most what the failure left behind."""
    if failed.status != "failed" or failed.turn_id != later.turn_id:
        return False
    same = len(failed.request)
    if list(later.request[:same]) != list(failed.request):
        return False
    return set(later.request[same:]) <= {*failed.response, *failed.outputs}


@dataclass(frozen=True)
class Fate:
    """What became of one item of a cut response."""

    item_id: str
    word: str
    place: int | None = None  # in the next request, from 1


def fates(partial: Sequence[str], next_request: Sequence[str] | None) -> list[Fate]:
    """For every partial item whether the next request of its thread carried it on."""
    if next_request is None:
        return [Fate(item_id, NO_LATER_REQUEST) for item_id in partial]
    places = {item_id: place for place, item_id in enumerate(next_request, 1)}
    return [
        Fate(item_id, CARRIED_ON if item_id in places else NOT_CARRIED_ON, places.get(item_id)) for item_id in partial
    ]


@dataclass(frozen=True)
class Change:
    """A request against the one before it: how much was kept, what is new, how many items fell out."""

    kept: list[str]
    added: list[str]
    removed: int


def change(before: Sequence[str] | None, request: Sequence[str]) -> Change:
    """What a request added to the one before; without one, everything is new."""
    known = set(before or ())
    kept = [item_id for item_id in request if item_id in known]
    added = [item_id for item_id in request if item_id not in known]
    return Change(kept, added, len(known) - len(set(kept)))


CUT_WORDS = {"failed": "Broke off here", "cancelled": "Cut here", "aborted": "Given up here"}


@dataclass(frozen=True)
class Cut:
    """Where a response ended before it was complete."""

    status: str
    word: str
    at_ms: int | None
    seq: int | None
    note: str


def cut(known: Known, kept: int) -> Cut | None:
    """The cut line of a call that did not complete."""
    if known.status == "completed":
        return None
    if known.status == "running":
        return Cut("running", "The recording stops here", None, None, _half_written(kept))
    word = "Closed here, at its turn's end," if known.evidence == "turn_end" else CUT_WORDS[known.status]
    seq = known.evidence_seq
    if known.evidence == "turn_end" and known.late_seq is None:
        note = "Whatever the model had written by then was not recorded."
    else:
        note = _half_written(kept)
    return Cut(known.status, word, known.ended_at_ms, seq, note)


def _half_written(kept: int) -> str:
    if not kept:
        return "No item was complete by then; whatever was half-written was not recorded."
    return "Whatever was half-written after the last complete item was not recorded."
