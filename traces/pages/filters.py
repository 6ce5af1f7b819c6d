"""A query string flows in, what to look for flows out: conditions for the database, words for the page, addresses."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import Self

from django.db.models import Q
from django.db.models.lookups import GreaterThan
from django.http import QueryDict
from django.utils import timezone

from traces.models import Rollout
from traces.models.fields import KEY_LENGTH, plain
from traces.models.rollouts import RolloutQuerySet
from traces.pages.measures import CALL_STATUSES, Calls
from traces.pages.sorting import DEFAULT, Sort, asked_sort

UNKNOWN = "unknown"  # in an address, where a recording names no model or no client
LONGEST_TEXT = 200


@dataclass(frozen=True)
class Chip:
    """One filter in words: as a label, as the end of "No rollout …", and the address without it."""

    label: str
    says: str
    without: str


@dataclass(frozen=True)
class Filters:
    """What a reader is looking for, and in which order. Every field is one name of the query string."""

    text: str = ""
    statuses: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    model: str = ""
    client: str = ""
    since: date | None = None
    until: date | None = None
    session: str = ""
    sort: Sort = field(default=DEFAULT)

    @classmethod
    def of(cls, query: QueryDict) -> Self:
        """What an address asks for; what makes no sense there is left out."""
        return cls(
            text=_text(query, "q"),
            statuses=_known(query.getlist("status"), Rollout.Status.values),
            calls=_known(query.getlist("calls"), CALL_STATUSES),
            model=_text(query, "model"),
            client=_text(query, "client"),
            since=_date(query, "since"),
            until=_date(query, "until"),
            session=_text(query, "session"),
            sort=asked_sort(query.get("sort", "")),
        )

    @property
    def active(self) -> bool:
        """Whether anything is looked for at all."""
        return replace(self, sort=DEFAULT) != Filters()

    @property
    def default_order(self) -> bool:
        """Whether nobody asked for another order."""
        return self.sort == DEFAULT

    def apply(self, rollouts: RolloutQuerySet) -> RolloutQuerySet:
        """Those that match, without an order."""
        return rollouts.filter(*self._conditions()) if self.active else rollouts

    def _conditions(self) -> Iterator[Q]:
        yield from (_in_title(word) | _by_id(word) for word in self.text.split())
        if self.statuses:
            yield Q(status__in=self.statuses)
        if self.calls:
            yield _any_call(self.calls)
        for name, value in (("model", self.model), ("client_version", self.client)):
            if value:
                yield Q(**{f"{name}__in": ["", UNKNOWN] if value == UNKNOWN else [value]})
        if self.since:
            yield Q(started_at__gte=_moment(self.since, time.min))
        if self.until:
            yield Q(started_at__lte=_moment(self.until, time.max))
        if self.session:
            yield Q(rollout_id=self.session)

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values of the query string, in one order, so that one list has one address."""
        pairs: list[tuple[str, str]] = [
            ("q", self.text),
            *(("status", status) for status in self.statuses),
            *(("calls", status) for status in self.calls),
            ("model", self.model),
            ("client", self.client),
            ("since", self.since.isoformat() if self.since else ""),
            ("until", self.until.isoformat() if self.until else ""),
            ("session", self.session),
            ("sort", "" if self.sort == DEFAULT else str(self.sort)),
        ]
        return [(name, value) for name, value in pairs if value]

    def address(self, start: int = 0) -> str:
        """The query string with its question mark, or nothing; with a start, of a later page."""
        query = QueryDict(mutable=True)
        for name, value in self.pairs():
            query.appendlist(name, value)
        if start:
            query["from"] = str(start)
        return f"?{query.urlencode()}" if query else ""

    def cleared(self) -> "Filters":
        """The same order, nothing looked for."""
        return Filters(sort=self.sort)

    def chips(self) -> list[Chip]:
        """Every filter that is set."""
        return list(self._chips())

    def _chips(self) -> Iterator[Chip]:
        if self.text:
            yield self._chip(f"“{self.text}”", f"has “{self.text}” in its title or session id", text="")
        if self.statuses:
            yield self._chip(_or(self.statuses).capitalize(), f"is {_or(self.statuses)}", statuses=())
        if self.calls:
            calls = f"{_or(self.calls)} calls"
            yield self._chip(calls.capitalize(), f"has {calls}", calls=())
        if self.model:
            yield self._chip(f"Model {self.model}", f"uses the model {self.model}", model="")
        if self.client:
            yield self._chip(f"Client {self.client}", f"was written by client {self.client}", client="")
        if self.since:
            day = _day(self.since)
            yield self._chip(f"Since {day}", f"started on {day} or later", since=None)
        if self.until:
            day = _day(self.until)
            yield self._chip(f"Until {day}", f"started on {day} or earlier", until=None)
        if self.session:
            yield self._chip(f"Session {self.session}", f"belongs to session {self.session}", session="")

    def _chip(self, label: str, says: str, **without: object) -> Chip:
        rest: Filters = replace(self, **without)  # type: ignore[arg-type]
        return Chip(label, says, rest.address())


def _text(query: QueryDict, name: str) -> str:
    longest = KEY_LENGTH if name != "q" else LONGEST_TEXT
    return plain(query.get(name, "")).strip()[:longest]


def _known(values: list[str], known: Iterable[str]) -> tuple[str, ...]:
    return tuple(value for value in known if value in values)


def _date(query: QueryDict, name: str) -> date | None:
    try:
        return date.fromisoformat(query.get(name, ""))
    except ValueError:
        return None


def _moment(day: date, at: time) -> datetime:
    """The first or last moment of a day, in the zone of the times that pages show."""
    return datetime.combine(day, at, timezone.get_current_timezone())


def _in_title(word: str) -> Q:
    """SQLite knows capitals of plain letters only: other alphabets are asked for in the usual spellings."""
    spellings = {word, word.lower(), word.upper(), word.capitalize()} if not word.isascii() else {word}
    found = Q()
    for spelling in sorted(spellings):
        found |= Q(title__icontains=spelling)
    return found


def _by_id(word: str) -> Q:
    return Q(rollout_id__startswith=word) | Q(trace_id__startswith=word)


def _any_call(statuses: tuple[str, ...]) -> Q:
    found = Q()
    for status in statuses:
        found |= Q(GreaterThan(Calls(status), 0))
    return found


def _or(words: tuple[str, ...]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _day(day: date) -> str:
    return f"{day:%b} {day.day}, {day.year:04d}"
