"""The list of rollouts: a page number flows in, a page of rows flows out."""

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from traces.models import Upload
from traces.pages.answers import Request, answer
from traces.pages.windows import Window, asked_start
from traces.sharing import rollouts_for

PAGE = 50


@require_safe
def rollouts(request: Request) -> HttpResponse:
    """Drop zone and table; htmx asks for the table alone."""
    found = rollouts_for(request).newest_first()
    window = Window(asked_start(request.GET.get("from")), PAGE, found.count())
    context = {"window": window, "rollouts": found[window.start : window.stop], "uploads": uploads_of(request)}
    template = "traces/rollouts/table.html" if request.htmx else "traces/rollouts.html"
    return answer(request, template, context)


def uploads_of(request: Request) -> list[Upload]:
    """Uploads still at work, and those that a form without a script has just sent."""
    named = [public_id for public_id in request.GET.getlist("upload") if public_id.isalnum()]
    working = Upload.objects.exclude(state__in=[Upload.State.DONE, Upload.State.FAILED])
    return list((working | Upload.objects.filter(public_id__in=named)).order_by("created_at", "pk")[:PAGE])
