"""An address of the list flows in, one page of it flows out: filters, their totals, and a row for each session."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from django.db.models import Q
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from traces.models import Rollout, Upload
from traces.models.rollouts import RolloutQuerySet
from traces.pages.answers import Request, answer
from traces.pages.filters import UNKNOWN, Filters
from traces.pages.measures import CALL_STATUSES
from traces.pages.sessions import Session, one_each, with_siblings
from traces.pages.sorting import COLUMNS, Column
from traces.pages.totals import Totals, totals_of
from traces.pages.windows import Window, asked_start
from traces.sharing import rollouts_for, undoable_for

PAGE = 50
MOST_CHOICES = 200
# Only the page of a rollout needs these, and they can be long.
NOT_LISTED = ("manifest", "manifest_body", "head", "tail")


@require_safe
def rollouts(request: Request) -> HttpResponse:
    """Drop zone, filters and table; htmx asks for the table alone."""
    filters = Filters.of(request.GET)
    context = {**listed(request, filters), **choices(request), "filters": filters, "own_form": own_form(request)}
    if not request.htmx:
        uploads = uploads_of(request)
        working = any(not upload.finished for upload in uploads)
        context |= {"uploads": uploads, "working": working, "deleted": undoable_for(request).order_by("deleted_at")}
        return answer(request, "traces/rollouts.html", context)
    response = answer(request, "traces/rollouts/answer.html", context)
    response["HX-Push-Url"] = new_address(request, context["here"])
    return response


def new_address(request: Request, query: str) -> str:
    """The one address of this list; nothing where the browser stands there already, or only looks again."""
    shown = urlsplit(request.htmx.current_url or "").query
    if request.htmx.trigger == "rollouts" or f"?{shown}" == query:
        return "false"
    return reverse("rollouts") + query


def listed(request: Request, filters: Filters) -> dict[str, Any]:
    """The rows of the page that is asked for, and what all pages hold together."""
    everything = rollouts_for(request)
    found = filters.apply(everything)
    totals = totals_of(found)
    window = Window(asked_start(request.GET.get("from")), PAGE, rows(filters, totals))
    return {
        "all_rollouts": totals.recordings if not filters.active else everything.count(),
        "totals": totals,
        "window": window,
        "here": filters.address(window.start),
        "earlier": filters.address(window.earlier or 0),
        "later": filters.address(window.later or 0),
        "headings": [heading(filters, column) for column in COLUMNS],
        "sessions": sessions(found, filters, window),
    }


def rows(filters: Filters, totals: Totals) -> int:
    """One for each session; in the list of one session, one for each recording."""
    return totals.recordings if filters.session else totals.sessions


def sessions(found: RolloutQuerySet, filters: Filters, window: Window) -> list[Session]:
    """The rows of one window. Their keys are sorted first and the wide rows fetched last, which is much faster."""
    heads = found if filters.session else one_each(found)
    names = ("pk",) if filters.session else ("pk", "others")
    keys = heads.order_by(*filters.sort.order()).values_list(*names)[window.start : window.stop]
    others = {key[0]: key[1] if len(key) > 1 else 0 for key in keys}
    light = found.defer(*NOT_LISTED)
    wide = light.in_bulk(list(others))
    return with_siblings([Session(wide[pk], count) for pk, count in others.items() if pk in wide], light)


def heading(filters: Filters, column: Column) -> dict[str, Any]:
    """A heading of the table, and where a click on it leads."""
    address = replace(filters, sort=filters.sort.clicked(column)).address()
    return {"column": column, "sorted": column.name == filters.sort.name, "address": address}


def own_form(request: Request) -> bool:
    """Whether the form of the filters asks: then it shows already what it asks for, and must not be disturbed."""
    return bool(request.htmx) and request.htmx.trigger == "filters"


def choices(request: Request) -> dict[str, Any]:
    """What the form of the filters offers."""
    pairs = rollouts_for(request).values_list("model", "client_version").distinct()
    models, clients = map(set, zip(*pairs, strict=True)) if pairs else (set(), set())
    return {
        "statuses": Rollout.Status.values,
        "call_statuses": [status for status in CALL_STATUSES if status != Rollout.Status.COMPLETED],
        "models": named(models),
        "clients": named(clients),
    }


def named(values: set[str]) -> list[str]:
    """Names in order; what has none is at the end."""
    known = sorted(values - {"", UNKNOWN})[:MOST_CHOICES]
    return [*known, UNKNOWN] if values & {"", UNKNOWN} else known


def uploads_of(request: Request) -> list[Upload]:
    """Uploads still at work, those that failed, and those that a form without a script has just sent."""
    named = [public_id for public_id in request.GET.getlist("upload") if public_id.isalnum()]
    asked = Q(public_id__in=named) | ~Q(state=Upload.State.DONE)
    return list(Upload.objects.filter(asked).order_by("created_at", "pk")[:PAGE])
