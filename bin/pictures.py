"""Real recordings flow in, the pictures in docs/ flow out: `make pictures`, after a change of how the pages look."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
RECORDINGS = ROOT / "traces" / "tests" / "bundles"
SHOWN = (
    "0.169.0/story",
    "0.125.0/interactive",
    "0.128.0/cancelled_late",
    "0.169.0/killed",
    "0.169.0/retried",
    "0.169.0/code_mode",
    "0.152.0/compacted",
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
# What an inference of each recording is called in docs/: which one of it, and the picture's name.
INFERENCES = (
    ("One of the tests", 9, "inference"),
    ("first question", 2, "inference-repaired"),
    ("use tools", 3, "inference-late"),
    ("be killed", 2, "inference-running"),
    ("try again", 1, "inference-retried"),
)


@contextmanager
def site(data: Path) -> Iterator[str]:
    """A site with an empty database, as a user starts it."""
    env = {**os.environ, "TRACESITE_DATA": str(data), "TZ": "UTC"}
    manage = [sys.executable, str(ROOT / "manage.py")]
    subprocess.run([*manage, "migrate", "--verbosity", "0"], env=env, check=True)
    served = subprocess.Popen([*manage, "serve", "--port", "0"], env=env, stdout=subprocess.PIPE, text=True)
    try:
        assert served.stdout is not None
        yield next(found[0] for line in served.stdout if (found := re.search(r"http://[\d.:]+", line)))
    finally:
        served.terminate()
        served.wait()


def page(browser: Browser, width: int = 1440, scheme: Literal["light", "dark"] = "light") -> Page:
    """A page of its own, in one width and one scheme."""
    return browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()


def take(page: Page, name: str, *, whole: bool = False) -> None:
    """Takes one picture, of a page that has all it needs."""
    page.wait_for_load_state()
    page.screenshot(path=DOCS / f"{name}.png", full_page=whole)


def upload(page: Page, folder: Path) -> None:
    """Puts the recordings into the site as archives, and waits until each is a rollout."""
    archives = []
    for name in SHOWN:
        bundle = RECORDINGS / name
        archives.append(shutil.make_archive(str(folder / name.replace("/", "_")), "zip", bundle))
    page.set_input_files("input[type=file] >> nth=0", archives)
    expect(page.get_by_role("button", name="Dismiss").or_(page.get_by_role("link", name="Dismiss"))).to_have_count(
        len(SHOWN), timeout=30_000
    )


def pictures(browser: Browser, url: str, folder: Path) -> None:
    """All of them."""
    light = page(browser)
    light.goto(url)
    take(light, "rollouts-empty")
    upload(light, folder)
    light.goto(url)
    take(light, "rollouts")
    for title, number, name in INFERENCES:
        light.goto(url)
        light.get_by_role("link", name=title).first.click()
        light.goto(f"{light.url.split('?')[0]}inferences/{number}/")
        take(light, name, whole=True)
    light.goto(url)
    light.get_by_role("link", name="One of the tests").first.click()
    take(light, "rollout")
    of_the_story(browser, light)


def of_the_story(browser: Browser, light: Page) -> None:
    """The story's other pages, and its rollout in the dark and on a small screen."""
    story = light.url
    for kind in ("threads", "turns", "tools", "terminals", "items", "events", "payloads"):
        light.goto(story)
        light.locator(f'a[href*="/{kind}/"]').first.evaluate("link => { location = link.href }")
        light.wait_for_url(f"**/{kind}/**")
        take(light, kind.removesuffix("s"), whole=kind not in ("events", "payloads"))
    for name, width, scheme in (("rollout-dark", 1440, "dark"), ("rollout-360", 360, "light")):
        other = page(browser, width, scheme)  # type: ignore[arg-type]
        other.goto(story)
        take(other, name)


if __name__ == "__main__":
    chromium = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        data = Path(scratch, "data")
        data.mkdir()
        with site(data) as url:
            pictures(playwright.chromium.launch(executable_path=chromium, args=FLAGS), url, Path(scratch))
