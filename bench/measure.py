"""Two programs and a session's shape flow in, what each run cost and whether their results are the same flows out.

This process stays small and leaves the writing of sessions to another: the peak that Linux reports for a child
begins with the memory of the process that started it.
"""

from __future__ import annotations

import filecmp
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.shape import Shape

ROOT = Path(__file__).resolve().parent.parent
Say = Callable[[str], None]
Command = list[str | Path]


class RunFailed(Exception):
    """A program ended with an error; the sentence says which and how."""


@dataclass(frozen=True)
class Run:
    """The cost of one whole process: processor seconds in user and system mode, and peak memory in bytes."""

    seconds: float
    peak: int


@dataclass(frozen=True)
class Pair:
    """One run of each, right after each other, so that a busy machine slows both."""

    ours: Run
    client: Run


@dataclass(frozen=True)
class Measured:
    """All runs on one session."""

    shape: Shape
    size: int
    pairs: list[Pair]
    same: bool

    def ours(self) -> list[Run]:
        return [pair.ours for pair in self.pairs]

    def client(self) -> list[Run]:
        return [pair.client for pair in self.pairs]

    def speed(self) -> float:
        """How many times faster than the client."""
        return seconds(self.client()) / seconds(self.ours())

    def memory(self) -> float:
        """Which part of the client's memory is needed."""
        return peak(self.ours()) / peak(self.client())


def seconds(runs: Sequence[Run]) -> float:
    return median(run.seconds for run in runs)


def peak(runs: Sequence[Run]) -> float:
    return median(run.peak for run in runs)


def exponent(before: Measured, after: Measured, runs: Callable[[Measured], list[Run]]) -> float:
    """The power of the number of inferences that the time grew with, from one session to a longer one."""
    grown = seconds(runs(after)) / seconds(runs(before))
    return math.log(grown) / math.log(after.shape.inferences / before.shape.inferences)


def run(command: Command, home: Path) -> Run:
    """Runs a program to its end."""
    errors = home / "errors.txt"
    with errors.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(home), stdout=subprocess.DEVNULL, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = errors.read_text(errors="replace").strip()[-300:]
        raise RunFailed(f"{Path(command[0]).name} ended with {process.returncode}: {said}")
    return Run(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def _environment(home: Path) -> dict[str, str]:
    """As anywhere else: byte code is cached, and the client keeps its files away from the user's own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**plain, "CODEX_HOME": str(home)}


def write_session(folder: Path, shape: Shape) -> int:
    """Writes the session in a process of its own, unless it is there already; returns how many bytes it has."""
    if not folder.exists():
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent)) / folder.name
        command: Command = [sys.executable, "-m", "bench.sessions", unfinished, *shape.arguments()]
        written = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if written.returncode:
            raise RunFailed(f"the session was not written: {written.stderr.strip()[-300:]}")
        unfinished.rename(folder)
        unfinished.parent.rmdir()
    return sum(entry.stat().st_size for entry in folder.rglob("*") if entry.is_file())


class Reductions:
    """Reduces one bundle with both programs; results and the client's home lie in `scratch`."""

    def __init__(self, bundle: Path, client: Path, scratch: Path) -> None:
        self._scratch = scratch
        self._ours, self._theirs = scratch / "ours.json", scratch / "client.json"
        self._our_command: Command = [sys.executable, "-m", "traces.reducer", bundle, "--out", self._ours]
        self._client_command: Command = [client, "debug", "trace-reduce", bundle, "-o", self._theirs]

    def ours(self) -> Run:
        return run(self._our_command, self._scratch)

    def client(self) -> Run:
        return run(self._client_command, self._scratch)

    def same(self) -> bool:
        """Whether both wrote the same bytes."""
        return filecmp.cmp(self._ours, self._theirs, shallow=False)

    def pair(self, number: int) -> Pair:
        """Each goes first every other time."""
        if number % 2:
            return Pair(ours=self.ours(), client=self.client())
        client = self.client()
        return Pair(ours=self.ours(), client=client)


def measure(shape: Shape, pairs: int, bundle: Path, client: Path, scratch: Path, say: Say) -> Measured:
    """Writes the session, lets both programs warm up on it, and measures them in turns."""
    size = write_session(bundle, shape)
    reductions = Reductions(bundle, client, scratch)
    reductions.pair(0)
    same = reductions.same()
    done: list[Pair] = []
    for number in range(1, pairs + 1):
        pair = reductions.pair(number)
        done.append(pair)
        same = same and reductions.same()
        say(f"  run {number} of {pairs}: {pair.ours.seconds:.3f} s, client {pair.client.seconds:.3f} s")
    return Measured(shape, size, done, same)
