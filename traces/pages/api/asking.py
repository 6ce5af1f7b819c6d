"""A query string flows in, what is asked for flows out: filters, order and page, or what is wrong with it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.http import urlencode

from traces.models import Node, Rollout
from traces.pages.api.answers import Refusal
from traces.pages.filters import Filters
from traces.pages.measures import CALL_STATUSES
from traces.pages.sorting import BY_NAME

DEFAULT_LIMIT, MOST = 50, 500
PAGE_NAMES = ("from", "limit")
CHOICES = {"status": Rollout.Status.values, "calls": CALL_STATUSES}
SORTS = (*BY_NAME, *(f"-{name}" for name in BY_NAME))
FILTER_NAMES = ("q", "status", "calls", "model", "client", "since", "until", "session", "sort")


@dataclass(frozen=True)
class Page:
    """Some rows of many, and the addresses of those before and after."""

    rows: Sequence[Any]
    count: int
    next: str | None
    previous: str | None


def filters_of(request: HttpRequest) -> Filters:
    """The filters of the page; but where a page drops what makes no sense, a program is told."""
    query, filters = request.GET, Filters.of(request.GET)
    _only(query, (*FILTER_NAMES, *PAGE_NAMES))
    for name, known in (*CHOICES.items(), ("sort", SORTS)):
        _one_of(query, name, known)
    for name, day in (("since", filters.since), ("until", filters.until)):
        if query.get(name) and day is None:
            raise Refusal(400, f"{name} is a date such as 2026-09-30, not “{query[name]}”.")
    return filters


def statuses_of(request: HttpRequest) -> list[str]:
    """The statuses of calls that are asked for; none is all."""
    _only(request.GET, ("status", *PAGE_NAMES))
    _one_of(request.GET, "status", Node.Status.values)
    return request.GET.getlist("status")


def page_of(request: HttpRequest, rows: QuerySet[Any]) -> Page:
    """The rows from `from` on, at most `limit`."""
    start = _number(request.GET, "from", 0, 0, 10**9)
    limit = _number(request.GET, "limit", DEFAULT_LIMIT, 1, MOST)
    count = rows.count()
    following = _address(request, start + limit, limit) if start + limit < count else None
    before = _address(request, max(0, start - limit), limit) if start else None
    return Page(list(rows[start : start + limit]), count, following, before)


def _address(request: HttpRequest, start: int, limit: int) -> str:
    pairs = [(name, value) for name, values in request.GET.lists() for value in values if name not in PAGE_NAMES]
    return request.build_absolute_uri(f"{request.path}?{urlencode([*pairs, ('limit', limit), ('from', start)])}")


def _only(query: QueryDict, known: Iterable[str]) -> None:
    for name in query:
        if name not in known:
            raise Refusal(400, f"There is no “{name}” to ask for; there is {', '.join(known)}.")


def _one_of(query: QueryDict, name: str, known: Iterable[str]) -> None:
    for value in query.getlist(name):
        if value and value not in known:
            raise Refusal(400, f"{name} is one of {', '.join(known)}, not “{value}”.")


def _number(query: QueryDict, name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        raise Refusal(400, f"{name} is a number from {least:,} to {most:,}, not “{text}”.")
    return int(text)
