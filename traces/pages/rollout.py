"""A public id flows in; windows of a rollout's problems, outline and conversation flow out, with one object in full."""

from typing import Any

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from traces.models import Node, Rollout
from traces.pages.answers import Request, answer, target
from traces.pages.bidi import shown as without_controls
from traces.pages.conversation import conversation
from traces.pages.inference import inference_context
from traces.pages.jump import Landing, land
from traces.pages.objects import node_context
from traces.pages.outline import axis, counts_of, outline
from traces.pages.problems import problems
from traces.pages.windows import asked_start
from traces.sharing import rollout_for

PARTIALS = {pane: f"traces/rollout/{pane}.html" for pane in ("problems", "outline", "conversation", "panes")}


@require_safe
def rollout(request: Request, public_id: str) -> HttpResponse:
    """The page, all its panes after a jump, or the one pane that htmx wants to fill."""
    found = rollout_for(request, public_id)
    partial = target(request)
    whole = partial not in PARTIALS
    panes = whole or partial == "panes"
    asked = request.GET.get("jump", "").strip()
    landing = land(found, asked) if asked else None
    context: dict[str, Any] = {"rollout": found, "jump": asked, "current": landing.node if landing else None}
    context["jump_failed"] = bool(asked) and landing is None
    if whole or partial == "problems":
        context["problems"] = problems(found, asked_start(request.GET.get("problem")))
    if panes:
        context |= inspector_context(found, landing)
    if panes or partial == "outline":
        context["outline"] = outline(found, start_of(request, "row", landing))
    if panes or partial == "conversation":
        thread_id = request.GET.get("thread") or (landing.thread_id if landing else "")
        context |= conversation_context(found, thread_id, start_of(request, "item", landing))
    if whole:
        context |= head_context(found)
    return answer(request, PARTIALS.get(partial, "traces/rollout.html"), context)


def start_of(request: Request, name: str, landing: Landing | None) -> int:
    """Where a window begins: as asked for, else where the jump lands."""
    asked = request.GET.get(name)
    if asked is None and landing is not None:
        return landing.row if name == "row" else landing.item
    return asked_start(asked)


def conversation_context(found: Rollout, thread_id: str, start: int) -> dict[str, Any]:
    """One agent's conversation; the root's where none is named."""
    threads = list(found.nodes.filter(kind="thread").order_by("started_seq"))
    wanted = thread_id or found.root_thread_id
    # A form sends an id back as the page shows it.
    thread = next((node for node in threads if wanted in (node.object_id, without_controls(node.object_id))), None)
    if thread is None and thread_id:
        raise Http404("This rollout has no such agent.")
    talk = conversation(found, thread, start) if thread else None
    return {"threads": threads, "thread": thread, "conversation": talk, "start_ms": start_ms(found)}


def head_context(found: Rollout) -> dict[str, Any]:
    """What the head of the page says beside the rollout's own columns."""
    scale = axis(found)
    return {
        "tool_counts": counts_of(found, "tool_call"),
        "duration_ms": scale.end_ms - scale.start_ms,
        "after_stop": events_after_stop(found),
        "siblings": found.siblings(),
        "axis": scale,
    }


def events_after_stop(found: Rollout) -> int:
    """How many events are only kept raw because one before them could not be applied."""
    if found.stopped_line is None:
        return 0
    return found.log.filter(line__gt=found.stopped_line).count()


def inspector_context(found: Rollout, landing: Landing | None) -> dict[str, Any]:
    """Where a jump landed; else the first call that did not complete; without trouble, the first call."""
    if landing and landing.node.kind != "inference_call":
        return node_context(found, landing.node)
    calls = Node.objects.filter(rollout=found, kind="inference_call").order_by("number")
    call = landing.node if landing else calls.exclude(status="completed").first() or calls.first()
    return inference_context(found, call) | {"current": call} if call else {}


def start_ms(found: Rollout) -> int:
    """When it began, in milliseconds since 1970."""
    return int(found.started_at.timestamp() * 1000)
