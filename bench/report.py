"""What was measured and what was asked flow in, a Markdown page with tables flows out."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench.measure import Measured, Run, exponent, peak, seconds
from bench.shape import Shape

GROWTH = 1.5


@dataclass(frozen=True)
class Case:
    """A session, how often it is measured, and what is asked of us; 0 asks nothing."""

    shape: Shape
    pairs: int
    speed: float  # at least so many times faster than the client
    stretch: float = 0.0
    memory: float = 0.0  # at most this part of the client's peak

    @property
    def name(self) -> str:
        mean = f"{self.shape.mean} bytes an item"
        compacted = f", compacted above {self.shape.compact_above} items" if self.shape.compact_above else ""
        return f"{self.shape.inferences:,} inferences, {mean}{compacted}"


Row = tuple[Case, Measured]


def page(rows: Sequence[Row], client_version: str) -> str:
    """The whole page."""
    sections = [
        _speed(rows),
        _memory(rows),
        _growth(rows),
        made_with(f", client {client_version} (`codex debug trace-reduce`)"),
    ]
    return "\n".join(
        ["# The reduction, beside the published client's", "", *(line for part in sections for line in part)]
    )


def missed(rows: Sequence[Row]) -> list[str]:
    """One sentence for each figure that was asked and not reached."""
    return [*_too_slow(rows), *_too_large(rows), *_growing(rows)]


def _too_slow(rows: Sequence[Row]) -> Iterator[str]:
    for case, measured in rows:
        if measured.speed() < case.speed:
            yield f"{case.name}: {measured.speed():.2f} times as fast, {case.speed:g} asked"


def _too_large(rows: Sequence[Row]) -> Iterator[str]:
    for case, measured in rows:
        if case.memory and measured.memory() > case.memory:
            yield f"{case.name}: {measured.memory():.2f} of the client's memory, {case.memory:g} asked"


def _growing(rows: Sequence[Row]) -> Iterator[str]:
    for before, after in _growing_pairs(rows):
        grown = exponent(before, after, Measured.ours)
        if grown >= GROWTH:
            yield f"up to {after.shape.inferences:,} inferences: exponent {grown:.2f}, below {GROWTH} asked"


def _growing_pairs(rows: Sequence[Row]) -> Iterator[tuple[Measured, Measured]]:
    """Sessions that differ only in length."""
    full = [measured for case, measured in rows if not case.shape.compact_above]
    yield from pairwise(full)


def _speed(rows: Sequence[Row]) -> list[str]:
    lines = [_cells(case, measured) for case, measured in rows]
    head = ("session", "bundle", "runs", "ours", "client", "faster", "pair by pair", "asked", "reached", "same bytes")
    return [
        "Processor time of the whole process, user and system; medians, least and most in brackets.",
        "",
        *table(head, lines),
    ]


def _cells(case: Case, measured: Measured) -> tuple[str, ...]:
    ratios = [pair.client.seconds / pair.ours.seconds for pair in measured.pairs]
    return (
        case.name,
        _megabytes(measured.size),
        str(len(measured.pairs)),
        _spread(measured.ours()),
        _spread(measured.client()),
        f"**{measured.speed():.2f}×**",
        f"{min(ratios):.2f}–{max(ratios):.2f}",
        _asked(case),
        _reached(case, measured.speed()),
        "yes" if measured.same else "**NO**",
    )


def _asked(case: Case) -> str:
    if not case.speed:
        return "–"
    if case.speed == 1:
        return "not slower"
    return f"≥ {case.speed:g}×" + (f", stretch {case.stretch:g}×" if case.stretch else "")


def _reached(case: Case, speed: float) -> str:
    if not case.speed:
        return "–"
    if case.stretch and speed >= case.stretch:
        return "yes, stretch too"
    return yes(speed >= case.speed)


def _memory(rows: Sequence[Row]) -> list[str]:
    lines = [
        (
            case.name,
            _megabytes(peak(measured.ours())),
            _megabytes(peak(measured.client())),
            f"**{measured.memory():.2f}**",
            f"≤ {case.memory:g}" if case.memory else "–",
            yes(measured.memory() <= case.memory) if case.memory else "–",
        )
        for case, measured in rows
    ]
    head = ("session", "ours", "client", "part of the client's", "asked", "reached")
    return ["Peak memory (resident set); medians.", "", *table(head, lines)]


def _growth(rows: Sequence[Row]) -> list[str]:
    lines = [
        (
            f"{before.shape.inferences:,} to {after.shape.inferences:,}",
            f"**{(ours := exponent(before, after, Measured.ours)):.2f}**",
            f"{exponent(before, after, Measured.client):.2f}",
            f"< {GROWTH}",
            yes(ours < GROWTH),
        )
        for before, after in _growing_pairs(rows)
    ]
    says = "Growth: time grows with this power of the number of inferences (full history, 1000 bytes an item)."
    return [says, "", *table(("inferences", "ours", "client", "asked", "reached"), lines)]


def made_with(program: str) -> list[str]:
    """Where, with which program beside Python, and when."""
    now = datetime.datetime.now(datetime.UTC)
    system = f"{_distribution()}, kernel {platform.release()}"
    return [
        f"- Machine: {_processor()}, {os.cpu_count()} cores, {_total_memory()}; {system}",
        f"- Python {platform.python_version()}{program}",
        f"- {now:%Y-%m-%d %H:%M} UTC; load average at the end {os.getloadavg()[0]:.1f}",
        "",
    ]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _total_memory() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{pages / 2**30:.0f} GiB"


def _distribution() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    rows = [head, ["---"] * len(head), *lines]
    return [*(f"| {' | '.join(row)} |" for row in rows), ""]


def _spread(runs: Sequence[Run]) -> str:
    every = [run.seconds for run in runs]
    return f"{_time(seconds(runs))} ({_time(min(every))}–{_time(max(every))})"


def _time(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"


def yes(reached: bool) -> str:
    """Whether an asked figure was reached."""
    return "yes" if reached else "**no**"
