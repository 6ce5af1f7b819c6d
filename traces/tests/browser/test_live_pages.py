"""Rollouts that grow flow in; pages in Chromium that change in place, and leave a reader alone, flow out."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from bench.live_write import Growing
from traces.tests.browser.dropping import words
from traces.tests.browser.growing import Grown
from traces.tests.fixtures.recordings import recording_folder
from traces.tests.fixtures.site import LiveSite

RUNNING, CANCELLED = 75, 83  # events of the story: inference 9 has begun, and was cancelled
ROWS = "[...document.querySelectorAll('#outline ol > li')].map((row) => row.querySelector('.name').textContent)"
AT_END = "document.querySelector('#outline ol').lastElementChild.getBoundingClientRect().bottom <= 1 + " + (
    "document.querySelector('#outline .body').getBoundingClientRect().bottom"
)
WINDOW = 80
WAIT = 15_000


@pytest.fixture
def story(live_site: LiveSite) -> Grown:
    """The story, whose ninth inference runs."""
    grown = Grown(live_site, recording_folder("0.169.0/story"))
    grown.send(RUNNING)
    grown.heard()
    return grown


class Long:
    """A session of many tools that goes on as long as a test wants."""

    def __init__(self, site: LiveSite, folder: Path) -> None:
        self.session = Growing(folder)
        self.grown = Grown(site, self.session.writer.folder)

    def write(self, tools: int) -> None:
        """So many more tools, begun and ended; then it is sent."""
        for _ in range(2 * tools):
            self.session.write()
        self.grown.send()


@pytest.fixture
def long(live_site: LiveSite, tmp_path: Path) -> Long:
    session = Long(live_site, tmp_path)
    session.write(40)
    session.grown.heard()
    return session


def mark(page: Page) -> None:
    """What is gone when the page is loaded again."""
    page.evaluate("window.mark = 'here'")


def same_page(page: Page) -> bool:
    return page.evaluate("window.mark") == "here"


# A rollout


def test_a_running_call_is_cancelled_under_the_readers_eyes(story: Grown, page: Page) -> None:
    page.goto(story.url)
    mark(page)
    row = page.locator("#outline li", has_text="Inference 9")
    expect(row).to_have_attribute("data-status", "running")
    expect(row.locator(".t")).to_have_text(re.compile(r"\d+ [msdh]"))
    expect(page.locator("#liveness")).to_contain_text("Live")
    expect(page.locator("#liveness")).to_contain_text("1 inference open")
    expect(page).to_have_title(re.compile("^● One of the tests"))
    assert "icon-live" in str(page.locator("#icon").get_attribute("href"))
    story.send(CANCELLED)
    expect(row).to_have_attribute("data-status", "cancelled")
    expect(row).to_contain_text("3 items kept")
    expect(row.locator(".t")).to_have_text("3.18 s")
    expect(page.locator("#news")).to_have_text(
        re.compile("^Inference 9 was cancelled: response stream dropped .*kept.$")
    )
    expect(page.locator("#conversation .cutline").last).to_contain_text("Cut here")
    expect(page.locator("#problems")).to_contain_text("3 things deserve a look")
    assert same_page(page)


def test_the_end_is_told(story: Grown, page: Page) -> None:
    page.goto(story.url)
    expect(page.locator("#liveness")).to_contain_text("Live")
    story.send()
    expect(page.locator("#liveness")).to_contain_text("Ended")
    expect(page).to_have_title(re.compile("^One of the tests"))
    expect(page.locator("#news")).to_contain_text("Ended.")
    expect(page.locator("#outline header")).to_contain_text("42 rows")


def test_what_the_reader_did_stays(story: Grown, page: Page) -> None:
    page.goto(story.url)
    mark(page)
    page.locator("#outline a", has_text="Inference 8").click()
    expect(page.locator("#inspector h2")).to_have_text("Inference 8")
    fold = page.locator("#conversation details").first
    fold.locator("summary").first.click()
    page.locator("#outline a", has_text="Inference 9").focus()
    top = page.evaluate("document.querySelector('#conversation .body').scrollTop = 200")
    story.send(CANCELLED)
    expect(page.locator("#outline li[data-status=cancelled]").first).to_be_visible()
    expect(page.locator("#outline a", has_text="Inference 9")).to_be_focused()
    expect(page.locator("#outline a[aria-current]")).to_contain_text("Inference 8")
    expect(page.locator("#inspector h2")).to_have_text("Inference 8")
    expect(fold).to_have_attribute("open", "")
    assert page.evaluate("document.querySelector('#conversation .body').scrollTop") == top
    assert same_page(page)


def test_a_page_that_was_opened_early_fills(live_site: LiveSite, page: Page) -> None:
    grown = Grown(live_site, recording_folder("0.169.0/story"))
    grown.send(2)
    grown.heard()
    page.goto(grown.url)
    expect(page.locator("h1")).to_have_text("Untitled rollout")
    expect(page.locator("#outline")).to_contain_text("1 row")
    expect(page.locator("#conversation")).to_contain_text("Nothing was said.")
    grown.send(RUNNING)
    expect(page.locator("h1")).to_contain_text("One of the tests in this folder fails")
    expect(page).to_have_title(re.compile("^● One of the tests"))
    expect(page.locator("#outline header")).to_contain_text("23 rows")
    expect(page.locator("#conversation")).not_to_contain_text("Nothing was said.")
    expect(page.locator("#conversation")).to_contain_text("Write me a detailed report")
    expect(page.locator("#inspector h2")).to_have_text("Inference 1")
    expect(page.locator("#outline a[aria-current]")).to_contain_text("Inference 1")


def test_the_inspector_follows_its_object(story: Grown, page: Page) -> None:
    page.goto(story.url)
    page.locator("#outline a", has_text="Inference 9").click()
    expect(page.locator("#inspector .sentence")).to_contain_text("Running — no end yet, for")
    story.send(CANCELLED)
    expect(page.locator("#inspector .sentence")).to_contain_text("Cancelled — the client stopped reading the stream")


def test_a_new_agent_can_be_chosen(story: Grown, page: Page) -> None:
    page.goto(story.url)
    expect(page.get_by_label("Agent", exact=True)).to_have_count(0)
    story.send()
    page.get_by_label("Agent", exact=True).select_option(label="/root/check_callers")
    expect(page.locator("#conversation")).to_contain_text("Only invoice.py:17 rounds money")


def test_silence_is_told_in_words(story: Grown, page: Page) -> None:
    story.heard(200)
    page.goto(story.url)
    expect(page.locator("#liveness")).to_contain_text(re.compile(r"Quiet for 3 min\s*1 inference open"))
    expect(page).to_have_title(re.compile("^● "))
    story.heard(200, "closed")
    page.reload()
    expect(page.locator("#liveness")).to_contain_text(re.compile(r"Stale\s*No process holds its log open any more\."))
    expect(page.locator("#outline li", has_text="Inference 9").locator(".t")).to_have_text("no end")
    expect(page).to_have_title(re.compile("^◌ "))
    expect(page.locator("[data-follow]")).to_have_attribute("aria-pressed", "false")


def test_silence_grows_in_the_browser(story: Grown, page: Page) -> None:
    story.heard(28)
    page.goto(story.url)
    expect(page.locator("#liveness .live-word")).to_have_text("Live")
    expect(page.locator("#liveness .live-word")).to_have_text("Quiet for 31 s", timeout=WAIT)


# Following


def test_following_keeps_the_newest_in_view(long: Long, page: Page) -> None:
    page.goto(long.grown.url)
    follow = page.locator("[data-follow]")
    expect(follow).to_have_attribute("aria-pressed", "true")
    for total in (82, 122):
        long.write(40)
        expect(page.locator("#outline header")).to_contain_text(f"of {total}")
        expect(page.locator("#outline ol > li").last).to_contain_text(f"probe-{total - 2}")
        page.wait_for_function(AT_END)
        assert page.locator("#outline ol > li").count() <= WINDOW


def test_scrolling_up_pauses_and_a_button_brings_it_back(long: Long, page: Page) -> None:
    page.goto(long.grown.url)
    page.locator("#outline .body").hover()
    page.mouse.wheel(0, -300)
    follow = page.locator("[data-follow]")
    expect(follow).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".below")).to_be_hidden()
    first = page.evaluate(ROWS)[0]
    long.write(12)
    below = page.get_by_role("button", name="12 new below")
    expect(below).to_be_visible()
    long.write(50)
    below = page.get_by_role("button", name="62 new below")
    expect(below).to_be_visible()
    assert page.evaluate(ROWS)[0] == first
    expect(page.locator("#outline .more")).to_have_text("24 later rows")
    below.click()
    expect(follow).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#outline ol > li").last).to_contain_text("probe-102")
    page.wait_for_function(AT_END)
    expect(page.locator("#outline .more")).to_have_text(re.compile(r"\d+ earlier rows"))
    expect(below).to_be_hidden()


def test_choosing_pauses_and_a_key_brings_it_back(long: Long, page: Page) -> None:
    page.goto(long.grown.url)
    follow = page.locator("[data-follow]")
    page.locator("#outline a", has_text="probe-40").click()
    expect(follow).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("f")
    expect(follow).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("f")
    expect(follow).to_have_attribute("aria-pressed", "false")
    page.locator("#jump").press("f")
    expect(page.locator("#jump")).to_have_value("f")
    expect(follow).to_have_attribute("aria-pressed", "false")


# The doorbell


def test_a_dropped_connection_is_told_and_costs_nothing(long: Long, page: Page) -> None:
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if len(sockets) != 2:  # the first attempt to come back fails
            socket.connect_to_server()
        else:
            socket.close(code=1011)

    page.route_web_socket(re.compile("/ws/"), through)
    page.goto(long.grown.url)
    expect(page.locator("#liveness .live-word")).to_have_text("Live")
    sockets[0].close(code=1011)
    expect(page.locator("#liveness .live-word")).to_have_text("Reconnecting…")
    long.write(5)
    expect(page.locator("#outline header")).to_contain_text("47 rows")
    expect(page.locator("#liveness .live-word")).to_have_text("Live")
    assert len(sockets) == 3


def test_slow_and_failing_requests_lose_and_double_nothing(long: Long, page: Page, page_problems: list[str]) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=503, body="not now")
        else:
            route.continue_()

    page.route(re.compile("/changes/"), answer)
    page.goto(long.grown.url)
    for _ in range(6):
        long.write(10)
    expect(page.locator("#outline header")).to_contain_text("102 of 102")
    page.wait_for_function(AT_END)
    shown = page.evaluate(ROWS)
    assert len(shown) == len(set(shown))
    numbers = range(101 - len(shown), 101)
    # Every fiftieth is an inference, with a name of its own.
    assert [row for row in shown if "probe" in row] == [f"probe-{number}" for number in numbers if number % 50]
    assert all("503" in problem for problem in page_problems)
    page_problems.clear()


# Other pages


def test_an_inference_turns_into_its_final_form(story: Grown, page: Page) -> None:
    page.goto(f"{story.url}inferences/9/")
    mark(page)
    expect(page.locator(".sentence")).to_contain_text(re.compile("Running — no end yet, for .*[hmsd]"))
    page.locator("#request summary").first.click()
    page.locator("#request summary").first.focus()
    story.send(CANCELLED)
    expect(page.locator(".sentence")).to_contain_text("Cancelled — the client stopped reading the stream")
    expect(page.locator("#output")).to_contain_text("3 complete items · 396 characters")
    expect(page.locator("#news")).to_contain_text("Cancelled — the client stopped reading")
    expect(page.locator("#request details").first).to_have_attribute("open", "")
    expect(page.locator("#request summary").first).to_be_focused()
    expect(page).to_have_title(re.compile("^Cancelled: inference 9"))
    story.send()
    expect(page.locator("#next")).to_contain_text("3 of 3 partial items carried on", timeout=WAIT)
    assert same_page(page)


def test_the_list_changes_in_place(story: Grown, page: Page, new_page: Callable[..., Page]) -> None:
    page.goto(story.site.url)
    mark(page)
    row = page.locator(f"#rollout-{story.key}")
    expect(row).to_contain_text("Live")
    search = page.get_by_label("Title or session id")
    search.fill("not sent yet")
    story.send(CANCELLED)
    expect(row).to_contain_text("1 cancelled")
    expect(search).to_have_value("not sent yet")
    expect(search).to_be_focused()
    page.get_by_role("link", name="One of the tests").first.focus()
    story.send()
    expect(row).to_contain_text("Completed")
    expect(page.get_by_role("link", name="One of the tests").first).to_be_focused()
    Grown(story.site, recording_folder("0.169.0/killed")).send()
    expect(page.locator("#rollouts tbody tr")).to_have_count(2)
    expect(page.locator("#rollouts-count")).to_have_text("2 rollouts")
    assert same_page(page)


def test_the_live_page_shows_what_runs(live_site: LiveSite, page: Page) -> None:
    page.goto(f"{live_site.url.rstrip('/')}/live/")
    mark(page)
    expect(page.locator("#nothing")).to_contain_text("Nothing runs now.")
    grown = Grown(live_site, recording_folder("0.169.0/story"))
    grown.send(RUNNING)
    grown.heard()
    grown.send(RUNNING + 1)
    session = page.locator(f"#session-{grown.key}")
    expect(session).to_contain_text("Live")
    expect(session.locator(".elapsed")).to_have_text(re.compile(r"\d+ [msdh]"))
    expect(session.get_by_role("link", name="Inference 9")).to_be_visible()
    expect(page.locator("#running-count")).to_contain_text("1")
    expect(page).to_have_title(re.compile("^● Live: 1 session"))
    expect(page.locator("#news")).to_contain_text("Began: One of the tests")
    session.locator(".title").focus()
    grown.send(CANCELLED)
    expect(session).to_contain_text("1 cancelled")
    expect(session.locator(".title")).to_be_focused()
    grown.send()
    expect(page.locator("#nothing")).to_be_visible()
    expect(page.locator("#news")).to_contain_text("Runs no more: One of the tests")
    assert same_page(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screens(story: Grown, new_page: Callable[..., Page], scheme: str) -> None:
    page = new_page(viewport={"width": 360, "height": 800}, color_scheme=scheme)
    for address in (story.url, f"{story.url}inferences/9/", f"{story.site.url.rstrip('/')}/live/", story.site.url):
        page.goto(address)
        expect(page.locator("main")).to_contain_text("Live")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
    assert words(page, "#running-count").startswith("1")
