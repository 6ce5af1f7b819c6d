"""A site that follows a folder flows in; what it costs at rest, for each event and for each reader flows out."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.typing import Origin

from bench.live_page import rollouts
from bench.measure import RunFailed
from bench.site_place import Place, Served, serving
from traces.bundle.events import InferenceStarted, decode_event
from traces.bundle.manifest import LOG_NAME
from traces.bundle.reader import Bundle
from traces.demo import Demo
from traces.reducer import Reducer

LOOKED = 30.0  # seconds
PATIENCE = 300
AT_ONCE = 1e9  # a speed


def idle(where: Place, folder: Path, finished: int) -> float:
    """Part of a core that a server uses which follows so many finished recordings."""
    for _ in range(finished):
        Demo(folder, AT_ONCE).play()
    with serving(where, "--watch", folder) as site:
        wait_for(lambda: ended(site) == finished, f"{finished} recordings are reduced")
        time.sleep(5)
        before = site.processor()
        time.sleep(LOOKED)
        return (site.processor() - before) / LOOKED


def ended(site: Served) -> int:
    """How many rollouts the site knows to their end."""
    connection = HTTPConnection(*site.address, timeout=PATIENCE)
    return sum(rollout["status"] == "completed" for rollout in rollouts(connection))


def sockets(site: Served, key: str, count: int) -> float:
    """Bytes of the server's memory for each idle page of a rollout."""
    return asyncio.run(_sockets(site, key, count))


async def _sockets(site: Served, key: str, count: int) -> float:
    address = f"ws://{site.address[0]}:{site.address[1]}/ws/rollouts/{key}/"
    async with AsyncExitStack() as held:
        await held.enter_async_context(connect(address, origin=_origin(site)))
        await asyncio.sleep(1)  # what the first one loads is not the others'
        before = site.resident()
        for _ in range(count):
            await held.enter_async_context(connect(address, origin=_origin(site)))
        await asyncio.sleep(2)
        return (site.resident() - before) / count


def _origin(site: Served) -> Origin:
    return Origin(site.url.rstrip("/"))


def appended(where: Place, session: Path, folder: Path, events: int, rate: float) -> float:
    """Processor seconds of the whole server for each of the last events of a long recording, written at this rate."""
    # Hard links: the payloads take no time and no room, and no path leaves the bundle.
    followed = shutil.copytree(session, folder / session.name, copy_function=os.link)
    lines = (session / LOG_NAME).read_bytes().splitlines(keepends=True)
    log = followed / LOG_NAME
    log.unlink()
    log.write_bytes(b"".join(lines[:-events]))
    with serving(where, "--watch", folder) as site:
        wait_for(lambda: known_events(site) == len(lines) - events, "the first part is reduced")
        time.sleep(2)
        before = site.processor()
        write_slowly(log, lines[-events:], rate)
        wait_for(lambda: known_events(site) == len(lines), "the rest is reduced")
        return (site.processor() - before) / events


def write_slowly(log: Path, lines: Sequence[bytes], rate: float) -> None:
    """One line after the other, as a client would."""
    began = time.monotonic()
    with log.open("ab", buffering=0) as file:
        for number, line in enumerate(lines):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            file.write(line)


def known_events(site: Served) -> int:
    """How many events of all rollouts the site knows."""
    connection = HTTPConnection(*site.address, timeout=PATIENCE)
    return sum(int(rollout["events"]) for rollout in rollouts(connection))


def wait_for(done: Callable[[], bool], what: str) -> None:
    """Looks now and then until it is so."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if done():
            return
        time.sleep(0.5)
    raise RunFailed(f"not within {PATIENCE} s: {what}")


@dataclass(frozen=True)
class Reduced:
    """The reducer alone: mean processor seconds of an event, and of each request beside how many megabytes it has."""

    event: float
    requests: list[tuple[float, float]]

    def shares(self, fixed: float, for_each: float) -> list[float]:
        """Which part of what it may take each request took: so much, and so much for each megabyte."""
        return [spent / (fixed + for_each * size) for size, spent in self.requests]


def reduction(session: Path) -> Reduced:
    """Applies every event as a server that follows does, one by one, and counts."""
    bundle = Bundle(session)
    reducer = Reducer(bundle.manifest, lambda ref: bundle.payload(ref.path))
    others: list[float] = []
    requests: list[tuple[float, float]] = []
    for line in bundle.lines():
        began = time.process_time()
        event = decode_event(line.data)
        reducer.apply(event, line.number)
        spent = time.process_time() - began
        if isinstance(event.payload, InferenceStarted):
            requests.append((bundle.payload_size(event.payload.request_payload.path) / 1e6, spent))
        else:
            others.append(spent)
    return Reduced(sum(others) / len(others), requests)
