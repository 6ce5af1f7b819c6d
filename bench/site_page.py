"""A rollout's address flows in, what a cold Chromium needs to show it flows out."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from bench.measure import RunFailed

PROGRAMS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PATIENCE = 30
LOOK_EVERY = 0.004
# The names of the rows of the outline that stand inside the window now.
NAMES = """() => [...document.querySelectorAll("#outline ol.outline > li .name")].filter((name) => {
    const box = name.getBoundingClientRect();
    return box.height > 0 && box.top < innerHeight && box.bottom > 0 && name.textContent.trim();
}).map((name) => name.closest("a").href)"""
ELEMENTS = "() => document.querySelectorAll('*').length"


@dataclass(frozen=True)
class Shown:
    """One cold visit: the top of the rollout, then a jump to its middle with the page's own form."""

    top: float  # seconds until named rows are there
    jump: float
    transferred: int  # bytes, of both together
    first: int  # requests of the page alone
    requests: int  # with those of the jump
    elements: int  # the most there were


class Traffic:
    """What came over the wire, headers included."""

    def __init__(self, page: Page) -> None:
        self.requests = self.transferred = 0
        session = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self._asked)
        session.on("Network.loadingFinished", self._came)
        session.send("Network.enable")

    def _asked(self, _: Any) -> None:
        self.requests += 1

    def _came(self, event: dict[str, Any]) -> None:
        self.transferred += int(event["encodedDataLength"])


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of the tests."""
    found = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CHROMIUM"), *PROGRAMS)))), None)
    if found is None:
        raise RunFailed("there is no Chromium: `make browser` installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


def visit(browser: Browser, url: str) -> Shown:
    """A profile of its own with an empty cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    traffic = Traffic(page)
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    names = _rows(page, [])
    top = time.perf_counter() - began
    page.wait_for_load_state("networkidle")
    first, elements = traffic.requests, page.evaluate(ELEMENTS)
    page.fill("#jump", "50%")
    began = time.perf_counter()
    page.press("#jump", "Enter")
    _rows(page, names)
    jump = time.perf_counter() - began
    page.wait_for_load_state("networkidle")
    elements = max(elements, page.evaluate(ELEMENTS))
    context.close()
    return Shown(top, jump, traffic.transferred, first, traffic.requests, elements)


def _rows(page: Page, before: list[str]) -> list[str]:
    """The rows in sight, once there are some and none of them was there before."""
    deadline = time.perf_counter() + PATIENCE
    while time.perf_counter() < deadline:
        names: list[str] = page.evaluate(NAMES)
        if names and not set(names) & set(before):
            return names
        time.sleep(LOOK_EVERY)
    raise RunFailed("no rows of the outline came into sight")
