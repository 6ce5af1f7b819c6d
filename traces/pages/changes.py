"""A revision flows in, what changed since then flows out: the parts of a rollout's page that an open one patches in.

The fragment names every row of a window in order and holds those that changed. Whoever finds a name in `data-order`
that it neither has nor was sent, asks once more with `since=0`; so a page is whole whatever it missed.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from traces.models import ConversationItem, Node, Rollout
from traces.pages.bidi import shown as without_controls
from traces.pages.conversation import Conversation, conversation
from traces.pages.once import once
from traces.pages.outline import outline
from traces.pages.problems import problems
from traces.pages.rollout import head_context, start_ms
from traces.pages.story import items as complete_items
from traces.pages.windows import asked_start
from traces.sharing import rollout_for

MOST_SAID = 20
LONGEST_SAID = 200  # characters of what a machine gave as its reason
ENDS = {"completed": "completed", "failed": "failed", "cancelled": "was cancelled", "aborted": "was aborted"}


@dataclass(frozen=True)
class Asked:
    """What a page knows and shows: its revision, the one it was rung for, and where its windows begin.

    What it gets may be newer than what it was rung for, but is called by that: all who were rung together ask the same
    again the next time, and are answered as one. (Then it comes twice; the page says each sentence once.)
    """

    since: int
    to: int
    row: int
    item: int
    problem: int
    thread: str

    @property
    def page_query(self) -> str:
        """The query of the page itself, for the links in its parts."""
        named = {"row": self.row, "item": self.item, "problem": self.problem, "thread": self.thread}
        return urlencode({name: value for name, value in named.items() if value})


@dataclass(frozen=True)
class Said:
    """A sentence for whoever cannot see the page change."""

    number: int
    status: str
    text: str


@require_safe
def changes(request: HttpRequest, public_id: str) -> HttpResponse:
    """What the page has to patch in; nothing where it is as new as the rows."""
    found = rollout_for(request, public_id)  # its revision first: rows that are newer come twice rather than never
    asked = asked_of(request.GET, found.revision)
    if asked.since == found.revision:
        response = HttpResponse(status=204)
    else:
        response = HttpResponse(once(key_of(found, asked), lambda: fragment(request, found, asked)))
    state = found.liveness(timezone.now())
    response["X-Liveness"] = state.word if state else ""
    response["Cache-Control"] = "no-store"
    return response


def asked_of(query: QueryDict, revision: int) -> Asked:
    """From the query string. A page that knows more than there is gets everything: its rollout was begun anew."""
    names = ("since", "to", "row", "item", "problem")
    since, to, row, item, problem = (asked_start(query.get(name)) for name in names)
    since = since if since <= revision else 0
    to = to if since < to < revision else revision
    return Asked(since, to, row, item, problem, query.get("thread", ""))


def key_of(rollout: Rollout, asked: Asked) -> str:
    """Whoever may see the rollout sees the same."""
    said = repr((rollout.public_id, asked))
    return f"changes:{sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()}"


def fragment(request: HttpRequest, rollout: Rollout, asked: Asked) -> str:
    """The parts, as the page itself would show them."""
    # Links lead to the page, not to this address.
    page = HttpRequest()
    page.path, page.GET, page.META = rollout.get_absolute_url(), QueryDict(asked.page_query), request.META
    context = changes_context(rollout, asked)
    return without_controls(render_to_string("traces/rollout/changes.html", context, page))


def changes_context(rollout: Rollout, asked: Asked) -> dict[str, Any]:
    """What changed, and what is counted anew each time."""
    head = head_context(rollout)
    said = news(rollout, asked.since) if asked.since else []
    return head | {
        "rollout": rollout,
        "since": asked.since,
        "to": asked.to,
        "state": rollout.liveness(timezone.now()),
        "outline": outline(rollout, asked.row, asked.since, head["axis"]),
        "problems": problems(rollout, asked.problem),
        "conversation": talk(rollout, asked),
        "start_ms": start_ms(rollout),
        "said": said[:MOST_SAID],
        "unsaid": len(said[MOST_SAID:]),
    }


def talk(rollout: Rollout, asked: Asked) -> Conversation | None:
    """The conversation of the agent that is shown, the root's where there is no such agent any more."""
    threads = list(rollout.nodes.filter(kind="thread"))
    wanted = (asked.thread, rollout.root_thread_id)
    by_id = {known: node for node in threads for known in (without_controls(node.object_id), node.object_id)}
    thread = next((by_id[thread_id] for thread_id in wanted if thread_id in by_id), None)
    return conversation(rollout, thread, asked.item) if thread else None


def news(rollout: Rollout, since: int) -> list[Said]:
    """The calls that ended since then, in the order of their ends."""
    calls = rollout.nodes.filter(kind="inference_call").since(since).exclude(status="running")
    found = list(calls.order_by("ended_seq", "number"))
    known = items_before(rollout, found, since)
    return [said(call) for call in found if not ended_before(call, known)]


def items_before(rollout: Rollout, calls: list[Node], since: int) -> set[str]:
    """Which of the items that these calls gave were there already."""
    given = [item_id for call in calls for item_id in call.data["response_item_ids"]]
    items = ConversationItem.objects.filter(rollout=rollout, item_id__in=given, revision__lte=since)
    return set(items.values_list("item_id", flat=True)) if given else set()


def ended_before(call: Node, known: set[str]) -> bool:
    """A call's row is written again when its tools start; what it gave was there by then, and came with its end."""
    given = call.data["response_item_ids"]
    return bool(given) and known.issuperset(given)


def said(call: Node) -> Said:
    """How it ended, in a sentence or two."""
    why = " ".join(call.evidence_text.split())
    reason = f": {why[:LONGEST_SAID].rstrip('.')}" if why and call.status != "completed" else ""
    ended = f"Inference {call.number} {ENDS[call.status]}{reason}."
    if call.evidence == "turn_end":
        ended = f"Inference {call.number} {ENDS[call.status]} when its turn ended."
    kept = len(call.data["response_item_ids"])
    rest = f" {complete_items(kept).capitalize()} kept." if call.status != "completed" else ""
    return Said(call.number, call.status, ended + rest)
