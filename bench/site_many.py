"""A site with ten thousand rollouts flows in, how long its list, its filters and its rollouts take flows out."""

from __future__ import annotations

import http.client
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import urlencode

from bench.measure import ROOT, RunFailed
from bench.site_place import Served, place, serving
from bench.site_upload import get

MANY = 10_000
TIMES = 60
SAMPLE = ROOT / "traces" / "samples" / "01-story.tar.zst"
# For each filter of the page, what is asked for in turns: common, rare and absent.
ASKED: dict[str, tuple[str, ...]] = {
    "q": ("parser", "slow upload", "release 4711", "nothing-like-it", "session-001234"),
    "status": ("completed", "failed", "running", "aborted"),
    "calls": ("completed", "failed", "cancelled", "aborted"),
    "model": ("gpt-5.5", "gpt-5.4-mini", "unknown", "no-such-model"),
    "client": ("0.169.0", "0.164.0", "unknown"),
    "since": ("2026-01-15", "2026-06-01", "2026-10-30"),
    "until": ("2026-01-15", "2026-06-01", "2026-10-30"),
    "session": ("session-000100", "session-003000"),
    "sort": ("title", "-tokens", "-duration", "-inferences", "model", "started", "client", "agents", "state"),
}


@dataclass(frozen=True)
class Answered:
    """How long one kind of page took, each time it was asked for."""

    name: str
    seconds: list[float]

    @property
    def p95(self) -> float:
        """19 of 20 were not slower."""
        return sorted(self.seconds)[math.ceil(len(self.seconds) * 0.95) - 1]


def many(kind: str, scratch: Path) -> list[Answered]:
    """Fills a site and asks for its pages, one after the other."""
    with place(kind, scratch) as where:
        where.manage("import", SAMPLE)
        where.run("-m", "bench.site_fill", str(MANY))
        with serving(where) as site:
            return list(_answers(site))


def _answers(site: Served) -> Iterator[Answered]:
    connection = http.client.HTTPConnection(*site.address, timeout=60)
    keys = _keys(connection)
    get(connection, "/")
    yield _ask(connection, "the list", ["/", f"/?from={MANY // 2}", f"/?from={MANY - 100}"])
    for name, values in ASKED.items():
        yield _ask(connection, name, [f"/?{urlencode({name: value})}" for value in values])
    mixed = {"q": "parser", "status": "completed", "model": "gpt-5.5", "since": "2026-03-01", "sort": "-tokens"}
    yield _ask(connection, "several at once", [f"/?{urlencode(mixed)}"])
    yield _ask(connection, "opening one", [f"/rollouts/{key}/" for key in keys])


def _keys(connection: http.client.HTTPConnection) -> list[str]:
    """Rollouts from all over the list, in no order."""
    found: list[str] = []
    for start in range(0, MANY, MANY // 5):
        _, body = get(connection, f"/api/v1/rollouts/?limit=12&from={start}")
        found += [rollout["key"] for rollout in json.loads(body)["results"]]
    Random(MANY).shuffle(found)
    return found


def _ask(connection: http.client.HTTPConnection, name: str, paths: Sequence[str]) -> Answered:
    return Answered(name, [_timed(connection, paths[number % len(paths)]) for number in range(TIMES)])


def _timed(connection: http.client.HTTPConnection, path: str) -> float:
    began = time.perf_counter()
    status, _ = get(connection, path)
    if status != 200:
        raise RunFailed(f"{path} answered {status}")
    return time.perf_counter() - began
