"""Sessions that are written right now flow in; that an open page in Chromium follows them to the end flows out."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, WebSocketRoute, expect

from bench.live_write import Growing
from traces.bundle.reader import Bundle
from traces.reducer import reduce_strict
from traces.tests.fixtures.following import FollowingSite, following_site, until
from traces.tests.fixtures.model import Step, message, scripted
from traces.tests.fixtures.site import ROOT

__all__ = ["following_site"]  # the fixture, for the tests below
pytestmark = pytest.mark.slow

SOON = 15_000  # milliseconds
LONG = 45_000
REPORT = "Part one is complete and was seen before the stop."
CANCELLED = "response stream dropped before provider terminal event"
# The rows of the outline as people read them, without what only time changes.
ROWS = """() => [...document.querySelectorAll("#outline ol.outline > li")].map((row) =>
    `${row.dataset.position} ${row.dataset.status} ${row.querySelector(".name").textContent.trim()}`)"""
IDS = """() => [...document.querySelectorAll("#outline ol.outline > li")].map((row) => row.id)"""
# After every change: each row once, each after the one before; and each probe that was ever in sight.
IN_ORDER = """() => {
    const list = document.querySelector("#outline ol.outline");
    window.wrong = [];
    window.probes = new Set();
    new MutationObserver(() => {
        const rows = [...list.children];
        const places = rows.map((row) => row.dataset.position);
        if (new Set(places).size < places.length || places.some((place, n) => n && place < places[n - 1]))
            window.wrong.push(places.join(" "));
        for (const found of list.textContent.matchAll(/probe-\\d+/g)) window.probes.add(found[0]);
    }).observe(list, {childList: true, subtree: true, characterData: true});
}"""
RUNNING = "#outline li[data-kind=inference_call][data-status=running]"
# What a browser says itself when a server is gone for a moment; everything else still fails the test.
AWAY = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "ERR_SOCKET_NOT_CONNECTED", "WebSocket")


@contextmanager
def playing(site: FollowingSite, speed: float) -> Iterator[Path]:
    """The bundle of a live sample that is written into the folder which the site follows."""
    command = [sys.executable, "manage.py", "demo", "--into", str(site.folder), "--speed", str(speed)]
    process = subprocess.Popen(command, cwd=ROOT, env=site.env, stdout=subprocess.DEVNULL)
    try:
        yield site.bundle()
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
        process.wait()


def open_rollout(page: Page, site: FollowingSite) -> None:
    """The page of the one rollout, from the list; a mark in it is gone when it is loaded again."""
    page.goto(site.url)
    link = page.locator("#rollouts a[href^='/rollouts/']").first
    expect(link).to_be_visible(timeout=SOON)
    page.goto(site.url + str(link.get_attribute("href")))
    page.evaluate("window.mark = 'the same page'")


def is_the_same_page(page: Page) -> bool:
    return bool(page.evaluate("window.mark === 'the same page'"))


def seconds_of(row: Locator) -> float:
    """What the clock of a running row says."""
    words = row.locator(".t").inner_text()
    number, _, unit = words.partition(" ")
    assert unit in ("s", "ms"), words
    return float(number) / (1000 if unit == "ms" else 1)


def rises(row: Locator) -> None:
    """The clock of a row counts up, in about the time that passes."""
    began, first = time.monotonic(), seconds_of(row)
    time.sleep(1.2)
    later, passed = seconds_of(row), time.monotonic() - began
    assert 0.5 <= later - first <= passed + 0.7


def running_for(page: Page, seconds: float) -> Locator:
    """The row of an inference that has been running for so long."""

    def old_enough() -> Locator | None:
        rows = page.locator(RUNNING)
        return next((rows.nth(place) for place in range(rows.count()) if old(rows.nth(place), seconds)), None)

    row = until(old_enough, f"an inference that runs for {seconds} s")
    return page.locator(f"#{row.get_attribute('id')}")


def old(row: Locator, seconds: float) -> bool:
    """Whether it runs for so long; it may have ended while we look."""
    words = row.evaluate_all("rows => rows.map((row) => row.querySelector('.t').textContent)")
    return bool(words) and words[0].endswith(" s") and float(words[0].removesuffix(" s")) >= seconds


def whole(site: FollowingSite, page: Page, bundle: Path) -> None:
    """Rows, API and a fresh page say the same as a reduction of the bundle from scratch: nothing missing or doubled."""
    shown, ids = page.evaluate(ROWS), page.evaluate(IDS)
    assert len(ids) == len(set(ids)) > 0
    assert is_the_same_page(page)
    address = page.url.partition("?")[0].rstrip("/")
    state = page.request.get(f"{site.url}/api/v1/rollouts/{address.rpartition('/')[2]}/state.json")
    assert state.ok, state.text()
    assert state.body() == reduce_strict(Bundle(bundle)).state()
    start = page.locator("#outline ol.outline").get_attribute("data-start")
    page.goto(f"{address}/?row={start}")
    assert page.evaluate(ROWS) == shown


def wait_for_end(page: Page, timeout: int = LONG) -> None:
    expect(page.locator("#liveness .live-word")).to_have_text("Ended", timeout=timeout)


def test_the_button_plays_a_session_from_running_to_cancelled(following_site: FollowingSite, page: Page) -> None:
    page.goto(following_site.url)
    page.get_by_role("button", name="Play a live sample").click()
    expect(page).to_have_url(f"{following_site.url}/live/")
    page.locator("[data-session] a.title").click(timeout=SOON)
    expect(page.locator("#liveness .live-word")).to_have_text("Live", timeout=SOON)
    page.evaluate("window.mark = 'the same page'")
    row = running_for(page, 1.5)
    rises(row)
    row.locator("a").click()
    inspector = page.locator("#inspector")
    expect(inspector).to_contain_text("Running")
    expect(inspector).to_contain_text("Cancelled", timeout=SOON)
    expect(inspector).to_contain_text(CANCELLED)
    expect(inspector).to_contain_text("Partial output")
    expect(page.locator("#conversation")).to_contain_text("Rounding of invoice totals: what went wrong and why")
    expect(row).to_have_attribute("data-status", "cancelled")
    assert is_the_same_page(page)


def test_the_page_of_a_call_turns_into_its_final_form(following_site: FollowingSite, page: Page) -> None:
    with playing(following_site, 1):
        open_rollout(page, following_site)
        row = running_for(page, 1)
        page.goto(following_site.url + str(row.locator("a").get_attribute("href")))
        page.evaluate("window.mark = 'the same page'")
        expect(page.locator(".evidence")).to_contain_text("Running")
        expect(page.locator(".evidence")).to_contain_text("Cancelled", timeout=SOON)
        expect(page.locator(".evidence")).to_contain_text(CANCELLED)
        expect(page.locator("main")).to_contain_text("Rounding of invoice totals: what went wrong and why")
        assert is_the_same_page(page)


def test_a_server_that_is_killed_and_comes_back_misses_nothing(
    following_site: FollowingSite, page: Page, page_problems: list[str]
) -> None:
    with playing(following_site, 3) as bundle:
        open_rollout(page, following_site)
        expect(page.locator("#outline ol.outline > li").nth(8)).to_be_visible(timeout=SOON)
        following_site.kill()
        expect(page.locator("#liveness .live-word")).to_have_text("Reconnecting…", timeout=SOON)
        time.sleep(1)
        following_site.restart()
        wait_for_end(page)
    page_problems[:] = [problem for problem in page_problems if not any(word in problem for word in AWAY)]
    whole(following_site, page, bundle)


def test_a_writer_that_is_killed_is_told_and_its_open_call_is_no_error(
    following_site: FollowingSite, page: Page
) -> None:
    with playing(following_site, 2000):
        pass
    command = [sys.executable, "manage.py", "demo", "--into", str(following_site.folder), "--speed", "1"]
    with subprocess.Popen(command, cwd=ROOT, env=following_site.env, stdout=subprocess.DEVNULL) as process:
        page.goto(f"{following_site.url}/live/")
        page.locator("#running [data-session] a.title").click(timeout=SOON)
        page.evaluate("window.mark = 'the same page'")
        running_for(page, 1)
        process.kill()
    expect(page.locator("#liveness .live-word")).to_have_text("Stale", timeout=60_000)
    expect(page.locator(RUNNING)).to_have_count(1)
    assert is_the_same_page(page)


# The published client


@pytest.fixture
def codex(codex_client: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> "Codex":
    return Codex(codex_client("0.169.0"))


class Codex:
    """The published client, with a home of its own outside the system's temporary folder, where it would miss tools."""

    def __init__(self, program: Path) -> None:
        self.program = program

    @contextmanager
    def asked(self, work: Path, config: str, traces: Path, prompt: str) -> Iterator["subprocess.Popen[bytes]"]:
        """`codex exec` with this prompt; it ends with the block."""
        home, project = work / "home", work / "project"
        home.mkdir()
        project.mkdir()
        (home / "config.toml").write_text(config)
        env = {**os.environ, "CODEX_HOME": str(home), "CODEX_ROLLOUT_TRACE_ROOT": str(traces), "NO_COLOR": "1"}
        command = [str(self.program), "exec", "--skip-git-repo-check", prompt]
        with (work / "client.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=project, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_a_session_of_the_real_client_is_interrupted_before_our_eyes(
    following_site: FollowingSite, page: Page, codex: Codex, tmp_path: Path
) -> None:
    held = Step([message("msg_1", REPORT)], hang=True)
    with scripted(held) as model:
        with codex.asked(tmp_path, model.config(), following_site.folder, "Write a long report.") as client:
            bundle = following_site.bundle()
            open_rollout(page, following_site)
            row = running_for(page, 1)
            rises(row)
            row.locator("a").click()
            expect(page.locator("#inspector")).to_contain_text("Running")
            client.send_signal(signal.SIGINT)
            expect(page.locator("#inspector")).to_contain_text("Cancelled", timeout=SOON)
            expect(page.locator("#inspector")).to_contain_text(CANCELLED)
            expect(page.locator("#conversation")).to_contain_text(REPORT)
            expect(row).to_have_attribute("data-status", "cancelled")
            client.wait(timeout=30)
        wait_for_end(page)
    whole(following_site, page, bundle)


# The doorbell


def test_500_events_a_dropped_connection_and_a_slow_answer(following_site: FollowingSite, page: Page) -> None:
    session = Growing(following_site.folder)
    sockets: list[WebSocketRoute] = []
    page.route_web_socket("**/ws/**", lambda socket: keep(socket, sockets))
    page.route("**/changes/**", slowly)
    open_rollout(page, following_site)
    page.evaluate(IN_ORDER)
    for number in range(500):
        session.write()
        page.wait_for_timeout(5)
        if number % 170 == 100:
            sockets[-1].close(code=3001, reason="dropped")
    last = page.locator("#outline ol.outline > li").last
    expect(last).to_contain_text("Inference 5", timeout=LONG)
    expect(last).to_have_attribute("data-status", "completed", timeout=LONG)
    assert len(sockets) >= 4
    assert page.evaluate("window.wrong") == []
    assert page.evaluate("window.probes.size") == 245  # five of 250 are inferences
    whole(following_site, page, session.writer.folder)


def keep(socket: WebSocketRoute, sockets: list[WebSocketRoute]) -> None:
    """Passes everything on, and can be dropped."""
    socket.connect_to_server()
    sockets.append(socket)


def slowly(route: Route, _: Any = None) -> None:
    """An answer takes its time."""
    time.sleep(0.15)
    route.continue_()
