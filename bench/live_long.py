"""A page that stays open flows in, what it holds after so many events flows out: elements, memory, complaints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page

from bench.live_page import SETTLE, known, say_go, told, writer
from bench.site_page import ELEMENTS
from bench.site_place import Served

LOOKS = 5


@dataclass(frozen=True)
class Held:
    """What a page holds at one moment."""

    elements: int
    heap: int  # bytes, after the browser has collected its garbage


@dataclass(frozen=True)
class LeftOpen:
    """What it held at some moments, evenly in time, the last one at the end; and how often the browser complained."""

    held: list[Held]
    complaints: int


def left_open(browser: Browser, site: Served, folder: Path, rate: float, seconds: float) -> LeftOpen:
    """Opens the page of a session and lets the session grow."""
    complaints: list[str] = []

    def heard(said: ConsoleMessage) -> None:
        if said.type == "error":
            complaints.append(said.text)

    with writer(folder, 1, rate, seconds) as process:
        [trace] = json.loads(told(process))
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.on("console", heard)
        context.on("weberror", lambda raised: complaints.append(str(raised.error)))
        page = context.new_page()
        page.goto(f"{site.url}/rollouts/{known(site, [trace])[trace]}/", wait_until="networkidle")
        say_go(process)
        held = list(_looks(page, seconds))
        context.close()
    return LeftOpen(held, len(complaints))


def _looks(page: Page, seconds: float) -> Iterator[Held]:
    session = page.context.new_cdp_session(page)
    for look in range(1, LOOKS + 1):
        page.wait_for_timeout((seconds / LOOKS + (SETTLE if look == LOOKS else 0)) * 1000)
        session.send("HeapProfiler.collectGarbage")
        heap = session.send("Runtime.getHeapUsage")["usedSize"]
        yield Held(int(page.evaluate(ELEMENTS)), int(heap))
