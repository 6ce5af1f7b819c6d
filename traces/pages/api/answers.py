"""Views by their verb flow in, one view of an address flows out: what it answers is JSON, whatever goes wrong."""

import errno
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, cast

import msgspec
from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from traces.bundle.errors import BundleError
from traces.pages.api.shapes import Problem

log = logging.getLogger(__name__)
View = Callable[..., HttpResponseBase]

NOTHING_HERE = (
    "There is nothing at this address; /api/v1/ lists the addresses, and all but those of files end with a /."
)
TOO_LARGE = "The request is larger than this site accepts."
NOT_UNDERSTOOD = "The site did not understand this request."
FORBIDDEN = "You may not do this here."
UNEXPECTED = "Something went wrong on our side. The log of the site says what."
NO_ROOM = "The disk of the site is full: nothing was kept."

# What Django raises, the particular before the general.
DJANGOS: dict[type[Exception], tuple[int, str]] = {
    Http404: (404, NOTHING_HERE),
    PermissionDenied: (403, FORBIDDEN),
    RequestDataTooBig: (413, TOO_LARGE),
    SuspiciousOperation: (400, NOT_UNDERSTOOD),
    MultiPartParserError: (400, NOT_UNDERSTOOD),
    UnreadablePostError: (400, NOT_UNDERSTOOD),
}


class Refusal(Exception):
    """A sentence for the sender, and the status it is sent with."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Stream(StreamingHttpResponse):
    """A body that is made while it is sent.

    Django would collect all pieces of a plain iterator in memory before an asynchronous server sends the first one;
    here each piece is asked for, in the request's own thread, when the one before is gone.
    """

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(cast(Iterable[bytes], self.streaming_content))
        while (piece := await sync_to_async(_next)(pieces)) is not None:
            yield piece


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


def json(value: Any, status: int = 200) -> HttpResponse:
    """Any of the API's shapes."""
    return HttpResponse(msgspec.json.encode(value), content_type="application/json", status=status)


def problem(status: int, sentence: str) -> HttpResponse:
    """What every refusal looks like."""
    return json(Problem(sentence, status), status)


def endpoint(**views: View) -> View:
    """The view of an address, by verb: `endpoint(get=…, delete=…)`.

    It needs no CSRF token. A token proves that a form is one of our own pages'; a program has no page. Other sites in
    the same browser are refused before, by their Origin (tracesite/guard.py), and a program sends none.
    """

    @csrf_exempt
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        verb = (request.method or "").lower()
        chosen = views.get("get" if verb == "head" else verb)
        if chosen is None:
            return _wrong_verb(request, sorted(views))
        response = _safely(chosen, request, *args, **kwargs)
        return _head_of(response) if verb == "head" else response

    return view


@csrf_exempt
def nothing_here(request: HttpRequest, rest: str = "") -> HttpResponse:
    """An address that does not exist."""
    return problem(404, NOTHING_HERE)


def _wrong_verb(request: HttpRequest, verbs: list[str]) -> HttpResponse:
    allowed = ", ".join(verb.upper() for verb in verbs)
    response = problem(405, f"This address answers to {allowed}, not to {request.method}.")
    response["Allow"] = allowed
    return response


def _head_of(response: HttpResponseBase) -> HttpResponseBase:
    """Nobody makes a whole archive for somebody who asks how it begins."""
    if not response.streaming:
        return response
    response.close()
    return HttpResponse(headers=dict(response.headers))


def _safely(view: View, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    try:
        return view(request, *args, **kwargs)
    except Exception as error:
        status, sentence = _said(error)
        if status == 500:
            log.exception("%s %s", request.method, request.path)
        return problem(status, sentence)


def _said(error: Exception) -> tuple[int, str]:
    """The status and the sentence for whatever a view raised."""
    if isinstance(error, Refusal):
        return error.status, error.sentence
    if isinstance(error, BundleError):
        return 400, f"{error}."
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return 507, NO_ROOM
    return next((said for kind, said in DJANGOS.items() if isinstance(error, kind)), (500, UNEXPECTED))
