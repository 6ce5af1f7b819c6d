"""A decision to delete flows in, a rollout out of sight flows out; for a minute it can be brought back."""

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from traces.live import ring
from traces.pages.answers import Request, answer
from traces.pages.filters import Filters
from traces.sharing import rollout_for, rollouts_for, undoable_for

TOO_LATE = "A deleted rollout can be brought back for a minute. That minute is over."


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: Request, public_id: str) -> HttpResponse:
    """Asks first; the answer puts the rollout out of sight."""
    rollout = rollout_for(request, public_id)
    if request.method == "POST":
        rollouts_for(request).filter(pk=rollout.pk).update(deleted_at=timezone.now())
        ring(rollout.public_id, rollout.revision)
        return HttpResponseRedirect(list_address(request))
    others = rollouts_for(request).of_session(rollout.rollout_id).exclude(pk=rollout.pk).count()
    context = {"rollout": rollout, "others": others, "back": list_address(request)}
    return answer(request, "traces/delete.html", context)


@require_POST
def restore(request: Request, public_id: str) -> HttpResponse:
    """Brings it back, as long as it is there."""
    if undoable_for(request).filter(public_id=public_id).update(deleted_at=None):
        ring(public_id, rollout_for(request, public_id).revision)
        return HttpResponseRedirect(list_address(request))
    return answer(request, "400.html", {"said": TOO_LATE}, status=410)


@require_safe
def deleted(request: Request) -> HttpResponse:
    """What can be brought back; without htmx, on the list."""
    if not request.htmx:
        return HttpResponseRedirect(list_address(request))
    return answer(request, "traces/rollouts/deleted.html", {"deleted": undoable_for(request)})


def list_address(request: Request) -> str:
    """The list as it was: only what a filter can be goes back into the address."""
    return reverse("rollouts") + Filters.of(request.GET).address()
