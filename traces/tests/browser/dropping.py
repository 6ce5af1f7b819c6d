"""A page and paths on disk flow in; the browser's own drop of those files and folders happens on the page."""

import re
from collections.abc import Iterable
from pathlib import Path

from playwright.sync_api import Page, expect

READY = re.compile("New|Already here|Continued|Same trace|Not opened")


def drop(page: Page, paths: Iterable[Path], at: tuple[int, int] = (640, 120)) -> None:
    """As if somebody let go of them there: real drag events, with folders as the browser hands them over."""
    files = [str(path) for path in paths]
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send(
            "Input.dispatchDragEvent",
            {"type": kind, "x": at[0], "y": at[1], "data": {"items": [], "files": files, "dragOperationsMask": 1}},
        )
    devtools.detach()


def opened(page: Page, name: str) -> str:
    """Waits until an upload is in rows; the address of its rollout."""
    row = page.locator("#uploads > li", has_text=name)
    expect(row).to_contain_text(READY, timeout=30_000)
    return row.get_by_role("link").first.get_attribute("href") or ""


def words(page: Page, selector: str) -> str:
    """What an element says, in one line."""
    return " ".join(page.locator(selector).first.inner_text().split())
