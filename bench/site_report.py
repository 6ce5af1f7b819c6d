"""What a site was measured at and what was asked flow in, a Markdown page with one table flows out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.report import made_with, table, yes

Shown = Callable[[float], str]
SHARED = "; server, database, browser and benchmark share the machine"
HEAD = ("what", "database", "asked", "measured", "least–most", "runs", "reached")


@dataclass(frozen=True)
class Unit:
    """How a number is written."""

    shown: Shown
    word: str = ""

    def of(self, value: float) -> str:
        """The number with its unit."""
        return f"{self.shown(value)}{self.word}"


PER_SECOND = Unit(lambda value: f"{value:,.0f}", "/s")
COUNT = Unit(lambda value: f"{value:,.0f}")
KILOBYTES = Unit(lambda value: f"{value / 1e3:,.0f}", " KB")
MEGABYTES = Unit(lambda value: f"{value / 1e6:,.0f}", " MB")
MEBIBYTES = Unit(lambda value: f"{value:,.0f}", " MiB")
MILLISECONDS = Unit(lambda value: f"{value * 1000:,.0f}", " ms")
PART = Unit(lambda value: f"1/{value:,.1f}")


@dataclass(frozen=True)
class Figure:
    """One line: what was measured how often, and the bound it is held against; without one it is only told."""

    what: str
    where: str
    unit: Unit
    values: Sequence[float]
    least: float | None = None
    most: float | None = None
    judged: float | None = None  # where it is not the median

    @property
    def value(self) -> float:
        """The number that is held against the bound."""
        return median(self.values) if self.judged is None else self.judged

    @property
    def reached(self) -> bool:
        """Whether it is what was asked."""
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)

    def asked(self) -> str:
        """The bound in words."""
        if self.unit is PART and self.least is not None:
            return f"≤ 1/{self.least:g}"
        if self.least is not None:
            return f"≥ {self.unit.of(self.least)}"
        return f"≤ {self.unit.of(self.most)}" if self.most is not None else "–"

    def cells(self) -> tuple[str, ...]:
        """The line of the table."""
        spread = f"{self.unit.of(min(self.values))}–{self.unit.of(max(self.values))}" if len(self.values) > 1 else "–"
        measured = f"**{self.unit.of(self.value)}**"
        bound = self.least is not None or self.most is not None
        reached = yes(self.reached) if bound else "–"
        return (self.what, self.where, self.asked(), measured, spread, str(len(self.values)), reached)


WHOLE_WAY = "The whole way: upload, page, store, list"


def page(figures: Sequence[Figure], notes: Sequence[str], title: str = WHOLE_WAY) -> str:
    """The whole page."""
    lines = table(HEAD, [figure.cells() for figure in figures])
    return "\n".join([f"# {title}", "", *lines, *(f"- {note}" for note in notes), *made_with(SHARED)])


def missed(figures: Sequence[Figure]) -> list[str]:
    """One sentence for each figure that was asked and not reached."""
    return [
        f"{figure.what}, {figure.where}: {figure.unit.of(figure.value)}, {figure.asked()} asked"
        for figure in figures
        if not figure.reached
    ]


def told(figures: Iterator[Figure]) -> Iterator[Figure]:
    """The same, each said as soon as it is known."""
    for figure in figures:
        say("  ".join(figure.cells()))
        yield figure


def say(words: str) -> None:
    """For whoever waits."""
    print(words, file=sys.stderr, flush=True)


def tell(figures: Sequence[Figure], shown: str, out: Path | None) -> None:
    """The page, on standard output and in a file; what was missed, for whoever waited."""
    print(shown)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(shown)
    for sentence in missed(figures):
        say(f"Missed: {sentence}.")
