"""Everything that runs flows in, one page flows out: each session with what is open, the newest activity first."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from traces.models import Node, Rollout
from traces.models.rollouts import RolloutQuerySet
from traces.pages.answers import Request, answer
from traces.pages.items import node_href
from traces.pages.outline import names
from traces.pages.rollouts import NOT_LISTED
from traces.sharing import rollouts_for

MOST = 100  # sessions on the page; more than anybody watches
MOST_GONE = 10
MOST_OPEN = 6  # things of one session
# A terminal's operation lies in its tool call, a turn and an agent are open as long as anything in them is.
TOLD = ("inference_call", "tool_call", "code_cell", "compaction_request")


@dataclass(frozen=True)
class Open:
    """Something that has begun and not ended."""

    node: Node
    name: str
    said: str
    href: str


@dataclass
class Session:
    """One rollout that runs, or whose writer is gone."""

    rollout: Rollout
    open: list[Open] = field(default_factory=list)
    busy: bool = False

    @property
    def shown(self) -> list[Open]:
        """The oldest of what is open."""
        return self.open[:MOST_OPEN]

    @property
    def more(self) -> int:
        """What else is open."""
        return len(self.open) - len(self.shown)


@require_safe
def live(request: Request) -> HttpResponse:
    """The page; a script of it asks again for what is inside when the doorbell rings."""
    everything = rollouts_for(request).defer(*NOT_LISTED)
    running = everything.running()
    total = running.count()
    sessions = with_open_work(running[:MOST])
    context = {
        "sessions": sessions,
        "total": total,
        "more": total - len(sessions),
        "stale": with_open_work(unfinished(everything)[:MOST_GONE]),
        "busy": sum(session.busy for session in sessions),
        "any_rollout": total > 0 or everything.exists(),
    }
    return answer(request, "traces/live.html", context)


def unfinished(everything: RolloutQuerySet) -> RolloutQuerySet:
    """Those that did not end though their writer is gone."""
    followed = everything.filter(status=Rollout.Status.RUNNING, heard_at__isnull=False)
    return followed.exclude(gone="").order_by("-heard_at", "-pk")


def with_open_work(rollouts: Iterable[Rollout]) -> list[Session]:
    """Each with what is open in it, by one query for all."""
    sessions = {rollout.pk: Session(rollout) for rollout in rollouts}
    nodes = Node.objects.filter(rollout__in=list(sessions), status=Node.Status.RUNNING).exclude(kind="thread")
    for node in nodes.defer("data").order_by("started_seq"):
        session = sessions[node.rollout_id]
        session.busy = True
        if node.kind in TOLD:
            name, said = names(node)
            session.open.append(Open(node, name, said, node_href(session.rollout, node)))
    return list(sessions.values())
