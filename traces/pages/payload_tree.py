"""A payload's bytes and a place in them flow in, what its page shows flows out: lines of a tree, or a long text."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from traces.pages.json_tree import COUNTED, REACHED, Place, Text, root, safe_cut, text, trail

WINDOW = 100  # children of one level
SHORT = 400  # bytes of a string that stands in its line
LONG = 60_000  # bytes of a text on its own page
SMALL = 3_000  # bytes of a container that is open at once
LINES = 240  # lines that are open at once, all levels together
DEEP = 6  # levels that are open at once


@dataclass
class Budget:
    """How many more lines may be open at once."""

    lines: int = LINES
    above: int = 0  # levels above the first one


@dataclass(frozen=True)
class Line:
    """One value of the tree."""

    place: Place
    text: str  # of a string or another value; empty where it holds others
    cut: bool  # whether there is more of it
    count: int | None
    level: "Level | None"  # what it holds, where that is open at once

    @property
    def key(self) -> str:
        """Its key, or its number."""
        return str(self.place.path[-1]) if self.place.key is None else self.place.key

    @property
    def element(self) -> str:
        """The id of the element that htmx fills with its level."""
        return "at-" + "-".join(map(str, self.place.path))


@dataclass(frozen=True)
class Level:
    """A window of what one value holds."""

    place: Place
    lines: list[Line]
    start: int
    later: int | None
    total: int | None
    end_of_reach: bool

    @property
    def stop(self) -> int:
        """One past the last line, from the first value."""
        return self.start + len(self.lines)

    @property
    def earlier(self) -> int | None:
        """Where the window before begins."""
        return max(0, self.start - WINDOW) if self.start else None


@dataclass(frozen=True)
class Shown:
    """What a page of a payload shows: a level, a text, or one value."""

    crumbs: Sequence[Place]
    level: Level | None
    text: Text | None
    is_json: bool = True

    @property
    def at(self) -> str:
        """Where in the document."""
        return self.crumbs[-1].at if self.crumbs else ""


def shown(body: bytes, path: tuple[int, ...], start: int) -> Shown:
    """The place with this path; what is no JSON is a text."""
    if not path and root(body) is None:
        return Shown((), None, plain_text(body, start), is_json=False)
    crumbs = trail(body, path)
    there = crumbs[-1]
    if there.opens:
        return Shown(crumbs, level(there, start, Budget(above=len(path))), None)
    return Shown(crumbs, None, text(there, start, LONG) if there.kind == "string" else Text(source(there), 0, None))


def level(there: Place, start: int, budget: Budget) -> Level:
    """The window that begins at this child; what is small is open at once."""
    first = min(start, REACHED - WINDOW)
    window = list(islice(there.children(), first, first + WINDOW + 1))
    if not window and first:
        return level(there, 0, budget)
    budget.lines -= len(window)
    lines = [line(child, budget) for child in window[:WINDOW]]
    more = len(window) > WINDOW
    reach = more and first + WINDOW >= REACHED
    later = first + WINDOW if more and not reach else None
    return Level(there, lines, first, later, total_of(there, first + len(lines), more), reach)


def total_of(there: Place, reached: int, more: bool) -> int | None:
    """How many values it holds; in a large document that is only known at its end."""
    if not more:
        return reached
    return there.count() if len(there.body) <= COUNTED * 4 else None


def line(child: Place, budget: Budget) -> Line:
    """One value; a container is open where it is small and there is room."""
    if child.opens:
        count = child.count()
        near = len(child.path) - budget.above < DEEP and child.size <= SMALL
        opened = near and count is not None and 0 < count <= min(budget.lines, WINDOW)
        return Line(child, "", False, count, level(child, 0, budget) if opened else None)
    if child.kind == "string":
        said = text(child, 0, SHORT)
        return Line(child, said.text, said.stop is not None, None, None)
    return Line(child, source(child)[:SHORT], child.size > SHORT, None, None)


def source(there: Place) -> str:
    """A number or a word, as it was written."""
    return there.body[there.start : there.end].decode("utf-8", "replace")


def plain_text(body: bytes, start: int) -> Text:
    """A window of what is no JSON."""
    begin = min(start, len(body))
    stop = safe_cut(body, begin, begin + LONG) if begin + LONG < len(body) else len(body)
    return Text(body[begin:stop].decode("utf-8", "replace"), begin, stop if stop < len(body) else None)


def asked_path(asked: str) -> tuple[int, ...] | None:
    """1.0.12 as ordinals; nothing where it is no path."""
    if not asked:
        return ()
    ordinals = asked.split(".")
    if len(ordinals) > 1500 or not all(one.isascii() and one.isdigit() and len(one) < 12 for one in ordinals):
        return None
    return tuple(map(int, ordinals))
