"""A rollout flows in, what deserves a look flows out: every call, turn and tool that did not complete."""

from dataclasses import dataclass

from django.db.models import F
from django.utils import timezone

from traces.models import Node, Rollout
from traces.pages.attempts import retries
from traces.pages.items import node_href
from traces.pages.outline import names
from traces.pages.story import Sentence, evidence_sentence
from traces.pages.story import items as complete_items
from traces.pages.windows import Window

WINDOW = 8
# As they ended; what never ended last, the innermost first.
ORDER = (F("ended_seq").asc(nulls_last=True), "-started_seq", "-pk")
KINDS = ("inference_call", "codex_turn", "tool_call", "compaction_request")


@dataclass(frozen=True)
class Problem:
    """One line: what it is, why, and what became of it."""

    node: Node
    href: str
    name: str
    turn: Node | None
    sentence: Sentence
    after: str  # what was kept and who tried again


@dataclass(frozen=True)
class Problems:
    """A window of them."""

    window: Window
    rows: list[Problem]


def problems(rollout: Rollout, start: int) -> Problems:
    """The window that begins at this problem."""
    found = Node.objects.filter(rollout=rollout, kind__in=KINDS).exclude(status__in=ordinary(rollout)).order_by(*ORDER)
    window = Window(start, WINDOW, found.count())
    nodes = list(found[window.start : window.stop])
    again = retries(rollout, [node for node in nodes if node.kind == "inference_call" and node.status == "failed"])
    turn_ids = [turn_id_of(node) for node in nodes]
    turns = {turn.object_id: turn for turn in rollout.nodes.filter(kind="codex_turn", object_id__in=turn_ids)}
    rows = [problem(rollout, node, turns.get(turn_id_of(node)), again.get(node.pk)) for node in nodes]
    return Problems(window, rows)


def ordinary(rollout: Rollout) -> list[str]:
    """Statuses that nobody has to look at; what is open in a live recording is no problem, only not over yet."""
    state = rollout.liveness(timezone.now())
    return ["completed", "running"] if state and state.word in ("live", "quiet") else ["completed"]


def turn_id_of(node: Node) -> str:
    """The turn it belongs to."""
    return str(node.data.get("codex_turn_id") or node.data.get("started_by_codex_turn_id") or "")


def problem(rollout: Rollout, node: Node, turn: Node | None, next_attempt: Node | None) -> Problem:
    """One line."""
    name, said = names(node)
    after = []
    if node.kind == "inference_call":
        kept = len(node.data["response_item_ids"])
        after.append(f"{complete_items(kept)} kept")
        after += [f"retried by inference {next_attempt.number}"] if next_attempt else []
    elif node.kind == "codex_turn" and node.title:
        after.append(f"“{node.title}”")
    label = name or f"Tool call {node.number}"
    after += [said] if said else []
    own = turn if node.kind != "codex_turn" else None
    return Problem(node, node_href(rollout, node), label, own, evidence_sentence(node), " · ".join(after))
