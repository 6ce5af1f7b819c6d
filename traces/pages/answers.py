"""A request, a template and its context flow in, the response flows out: the whole page, or the part htmx asks for."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails

from traces.pages.bidi import shown


class Request(HttpRequest):
    """A request as the middleware leaves it."""

    htmx: HtmxDetails


def target(request: Request) -> str:
    """The id of the element that htmx wants to fill; nothing when the whole page is asked for."""
    return (request.htmx.target or "") if request.htmx else ""


def answer(request: Request, template: str, context: Mapping[str, Any], status: int = 200) -> HttpResponse:
    """What caches must not mix up: the same address answers with a page or with a part of it.

    Our own words need no control of direction, so whatever is left of them came out of a recording: in one place for
    every field of every page, they are shown instead of obeyed.
    """
    response = HttpResponse(shown(render_to_string(template, dict(context), request)), status=status)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    if target(request) == "inspector":
        response["HX-Push-Url"] = "false"  # the page stays the rollout's, only its inspector changes
    return response
