"""A rollout's page flows in as a browser holds it, fragments patch it, and its rows flow out to be compared."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.test import Client

from traces.pages.outline import Axis

VOID = {"input", "rect", "use", "path", "br", "hr", "img", "meta", "link"}
PANES = {"outline": "outline", "conversation": "conv"}


@dataclass
class Listed:
    """A list of the page: its attributes, and the source of each of its rows."""

    attributes: dict[str, str] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)


class Lists(HTMLParser):
    """Finds the outermost lists of each class or part."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.source, self.found = source, dict[str, Listed]()
        self.open: list[str] = []
        self.inside: tuple[str, int] | None = None
        self.row = ("", 0)
        self.root: dict[str, str] = {}
        self.feed(source)

    @property
    def at(self) -> int:
        line, column = self.getpos()
        return self.lines[line - 1] + column

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = {name: value or "" for name, value in attrs}
        if given.get("id") in ("changes", "panes"):
            self.root = given
        name = given.get("data-part") or given.get("class", "")
        if tag == "ol" and self.inside is None and name in (*PANES, *PANES.values()):
            self.inside = (name, len(self.open))
            self.found[name] = Listed(given)
        elif tag == "li" and self.inside and len(self.open) == self.inside[1] + 1:
            self.row = (given.get("id", ""), self.at)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        """Closed where it opens: it holds nothing."""

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        while self.open and self.open.pop() != tag:
            pass
        if self.inside is None:
            return
        name, depth = self.inside
        if tag == "li" and len(self.open) == depth + 1:
            key, start = self.row
            if key:
                self.found[name].rows[key] = self.source[start : self.at]
        elif tag == "ol" and len(self.open) == depth:
            self.inside = None


@dataclass
class OpenPage:
    """A page that was opened once and is kept up to date by fragments."""

    client: Client
    address: str
    query: dict[str, str]
    revision: int = 0
    panes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked_again: int = 0

    def opened(self) -> "OpenPage":
        """As the server shows it now."""
        source = self.client.get(self.address, self.query).content.decode()
        lists = Lists(source)
        self.revision = int(lists.root["data-revision"])
        self.panes = {pane: plain(lists.found[name].rows) for pane, name in PANES.items()}
        return self

    def copy(self) -> "OpenPage":
        """The same page in another tab."""
        panes = {pane: dict(rows) for pane, rows in self.panes.items()}
        return OpenPage(self.client, self.address, self.query, self.revision, panes)

    def catch_up(self) -> int:
        """Patches in what changed; returns the status of the answer."""
        status, lists = self.ask(self.revision)
        if status == 204:
            return status
        if not self.patch(lists):
            self.asked_again += 1
            assert self.patch(self.ask(0)[1]), "everything is not everything"
        self.revision = int(lists.root["data-revision"])
        return status

    def ask(self, since: int) -> tuple[int, Lists]:
        answer = self.client.get(f"{self.address}changes/", {**self.query, "since": str(since)})
        assert answer["Cache-Control"] == "no-store"
        return answer.status_code, Lists(answer.content.decode())

    def patch(self, lists: Lists) -> bool:
        """Whether every row is there now."""
        axis = Axis(int(lists.root["data-axis-start"]), int(lists.root["data-axis-end"]))
        whole = True
        for pane, rows in self.panes.items():
            sent = lists.found[pane]
            known = {**rows, **plain(sent.rows)}
            order = [f"node-{key}" if key.isdigit() else key for key in sent.attributes["data-order"].split()]
            whole = whole and all(key in known for key in order)
            self.panes[pane] = {key: known[key] for key in order if key in known}
        self.panes["outline"] = {key: placed(row, axis) for key, row in self.panes["outline"].items()}
        return whole


def plain(rows: dict[str, str]) -> dict[str, str]:
    """Without the mark of what is open beside it."""
    return {key: row.replace(' aria-current="true"', "") for key, row in rows.items()}


def placed(row: str, axis: Axis) -> str:
    """With its bar where the axis has it now, as static/traces/js/rows.js does it."""
    started = re.search(r'data-started-ms="(-?\d+)"', row)
    ended = re.search(r'data-ended-ms="(-?\d+)"', row)
    assert started
    x, width = axis.place(int(started[1]), int(ended[1]) if ended else None)
    return re.sub(r' x="[^"]*" y="0" width="[^"]*"', f' x="{x}" y="0" width="{width}"', row)
