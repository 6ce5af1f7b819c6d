"""A query string flows in, the events it asks for flow out, with the objects they are about and the form's choices."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, QuerySet
from django.http import QueryDict
from django.urls import reverse

from traces.models import Event, Node, Rollout
from traces.pages.bidi import shown
from traces.pages.items import SLUGS, node_href
from traces.pages.outline import names

MOST = 300  # types and agents that a form offers


@dataclass(frozen=True)
class Asked:
    """Which events: of a type, of an agent, about an object."""

    type: str = ""
    thread: str = ""
    kind: str = ""
    object: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> "Asked":
        """As a form or a link asks."""
        names = ("type", "thread", "kind", "object")
        return cls(*(query.get(name, "").strip().replace("\x00", "") for name in names))

    @property
    def anything(self) -> bool:
        """Whether some events are left out."""
        return any((self.type, self.thread, self.kind, self.object))

    @property
    def query(self) -> str:
        """The filter as a link needs it, ready for another parameter."""
        said = {name: value for name, value in vars(self).items() if value}
        return f"{urlencode(said)}&" if said else ""

    def events(self, rollout: Rollout) -> QuerySet[Event]:
        """Those events."""
        log = Event.objects.filter(rollout=rollout)
        if self.type:
            log = log.filter(type="" if self.type == "unreadable" else self.type)
        if self.thread:
            log = log.filter(thread_id=self.thread)
        if self.kind:
            log = log.filter(object_kind=self.kind)
        return log.filter(object_id=self.object) if self.object else log


@dataclass(frozen=True)
class Row:
    """One event of the table."""

    event: Event
    name: str  # of the object it is about
    href: str
    stopped: bool  # whether reading stopped here
    after: bool  # whether it is only kept raw, because reading had stopped


def rows_of(rollout: Rollout, events: list[Event]) -> list[Row]:
    """The events with their objects, by one query."""
    ids = {event.object_id for event in events if event.object_id}
    nodes = rollout.nodes.filter(object_id__in=ids).defer("data") if ids else []
    found = {(node.kind, node.object_id): node for node in nodes}
    stop = rollout.stopped_line
    return [
        Row(
            event,
            *_about(rollout, event, found.get((event.object_kind, event.object_id))),
            stopped=stop is not None and event.line == stop,
            after=stop is not None and event.line > stop,
        )
        for event in events
    ]


def _about(rollout: Rollout, event: Event, node: Node | None) -> tuple[str, str]:
    if node:
        return " ".join(filter(None, names(node))), node_href(rollout, node)
    return event.object_id, ""


def choices(rollout: Rollout) -> dict[str, Any]:
    """What the form offers: the types that occur, the agents, the kinds."""
    log = Event.objects.filter(rollout=rollout)
    types = log.values_list("type").annotate(Count("pk")).order_by("type")[:MOST]
    agents = rollout.nodes.filter(kind="thread").order_by("started_seq").values_list("object_id", "title")[:MOST]
    return {"types": _offered(types), "agents": [(shown(one), title) for one, title in agents], "kinds": list(SLUGS)}


def _offered(types: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return [(name or "unreadable", count) for name, count in types]


def stop_of(rollout: Rollout) -> dict[str, Any]:
    """Where reading stopped, and where in the log that is."""
    if rollout.stopped_line is None:
        return {}
    log = Event.objects.filter(rollout=rollout)
    before = log.filter(line__lt=rollout.stopped_line).count()
    after = log.filter(line__gt=rollout.stopped_line).count()
    href = reverse("events", args=[rollout.public_id])
    return {"stop_href": f"{href}?from={max(0, before - 2)}", "after_stop": after}
