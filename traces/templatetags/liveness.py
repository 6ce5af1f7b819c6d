"""Rollouts flow in, words on whether more is to be expected of them flow out: in heads, lists and the navigation."""

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.conf import settings
from django.db.models import Count
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from traces.live import sum_of
from traces.models import Node, Rollout
from traces.models.rollouts import QUIET_SECONDS, Liveness
from traces.sharing import rollouts_for

register = template.Library()

WORDS = {"live": "Live", "stale": "Stale", "ended": "Ended"}
# What can be open, as people call it; a terminal's operation lies in its tool call and is not told twice.
OPEN = {
    "inference_call": "inference",
    "tool_call": "tool call",
    "code_cell": "code cell",
    "compaction_request": "compaction",
}


@register.simple_tag
def liveness(rollout: Rollout) -> Liveness | None:
    """What silence means at this moment; None for a recording that nobody follows."""
    return rollout.liveness(timezone.now())


@register.simple_tag
def live_word(judged: Liveness | None) -> SafeString | str:
    """Live, Quiet for 3 min, Stale, Ended; a script of the page goes on counting from there."""
    if judged is None:
        return ""
    return format_html(
        '<span class="live-word {}" data-word="{}" data-heard-ms="{}" data-quiet-ms="{}" data-stale-ms="{}">{}</span>',
        judged.word,
        judged.word,
        milliseconds(judged.since),
        QUIET_SECONDS * 1000,
        settings.TRACESITE_STALE_SECONDS * 1000,
        WORDS.get(judged.word) or f"Quiet for {silence(timezone.now() - judged.since)}",
    )


def silence(span: timedelta) -> str:
    """45 s, 3 min, 2 h 5 min, 3 days: nobody counts the seconds of a long silence."""
    seconds = max(0, int(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} days"


def milliseconds(moment: datetime) -> int:
    """Since 1970, as scripts count."""
    return int(moment.timestamp() * 1000)


@register.simple_tag
def open_work(rollout: Rollout) -> dict[str, Any]:
    """What has begun and not ended: in words, and whether that is anything at all."""
    open_nodes = Node.objects.filter(rollout=rollout, status=Node.Status.RUNNING)
    counts = dict(open_nodes.values_list("kind").annotate(Count("pk")).order_by())
    said = [f"{counts[kind]} {word}{'s' if counts[kind] > 1 else ''}" for kind, word in OPEN.items() if kind in counts]
    # An agent waits for its next task with nothing open below it; a turn is work.
    return {"said": f"{', '.join(said)} open" if said else "", "busy": bool(said) or "codex_turn" in counts}


@register.simple_tag(takes_context=True)
def running_count(context: template.Context) -> int:
    """How many sessions run, as far as this request may know; error pages may come without one."""
    request: HttpRequest | None = context.get("request")
    return rollouts_for(request).running().count() if request else 0


@register.simple_tag(takes_context=True)
def list_revision(context: template.Context) -> int:
    """What the doorbell of the list says as long as nothing changed."""
    return sum_of(rollouts_for(context["request"]))


@register.simple_tag
def now_ms() -> int:
    """The server's time, for clocks that go on in the browser."""
    return milliseconds(timezone.now())
