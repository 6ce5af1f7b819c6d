"""A press of a button flows in, a session that is written from now on, and the page to watch it on, flow out."""

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_POST

from traces.bundle.errors import BundleError, reason
from traces.demo import AT_ONCE, start
from traces.pages.answers import Request, answer

BUSY = f"{AT_ONCE} live samples are playing already. Each takes about half a minute: watch them, or try again then."


@require_POST
def play(request: Request) -> HttpResponse:
    """Starts a live sample and goes where it can be watched."""
    try:
        demo = start()
    except BundleError as error:
        return refused(request, f"The live sample cannot be played: {error}.", 503)
    except OSError as error:
        return refused(request, f"The live sample cannot be written: {reason(error)}.", 503)
    return HttpResponseRedirect(live()) if demo else refused(request, BUSY, 409)


def live() -> str:
    """The page of everything that runs."""
    try:
        return reverse("live")
    except NoReverseMatch:
        return reverse("rollouts")


def refused(request: Request, words: str, status: int) -> HttpResponse:
    """A sentence as a page."""
    return answer(request, "traces/demo.html", {"said": words}, status=status)
