"""Real recordings dropped on the page flow in; what a reader sees of them in Chromium flows out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from traces.tests.browser.dropping import drop, opened, words
from traces.tests.fixtures.site import LiveSite

NAMES = ("0.169.0/story", "0.169.0/retried", "0.169.0/killed", "0.125.0/interactive", "0.128.0/cancelled_late")


@dataclass(frozen=True)
class Shown:
    """The page, and where each dropped recording is read."""

    page: Page
    url: str
    at: dict[str, str]

    def open(self, name: str, rest: str = "") -> None:
        self.page.goto(f"{self.url}{self.at[name]}{rest}")


@pytest.fixture
def shown(shared_site: LiveSite, page: Page, zipped: Callable[[str], Path]) -> Shown:
    """Drops all of them at once; from the second test on they are already here."""
    page.goto(shared_site.url)
    drop(page, [zipped(name) for name in NAMES])
    at = {name: opened(page, f"{name.replace('/', '-')}.zip") for name in NAMES}
    return Shown(page, shared_site.url, at)


def test_the_list_counts_by_status(shown: Shown) -> None:
    row = shown.page.locator("tbody tr", has_text="One of the tests in this folder fails")
    expect(row).to_contain_text("13 completed")
    expect(row).to_contain_text("2 failed")
    expect(row).to_contain_text("1 cancelled")
    expect(shown.page.locator("tbody tr")).to_have_count(5)
    expect(shown.page.locator("#rollouts-count")).to_have_text("5 rollouts")


def test_a_cancelled_stream_in_the_story(shown: Shown) -> None:
    shown.open("0.169.0/story", "inferences/9/")
    assert words(shown.page, ".sentence") == (
        "Cancelled — the client stopped reading the stream: response stream dropped before provider terminal event"
        " · event 82"
    )
    output = words(shown.page, "#output")
    assert "3 complete items · 396 characters" in output
    assert "Python's built-in round() uses banker's rounding" in output
    assert output.index("git log --oneline") < output.index("Cut here at +5.486 s · event 82")
    assert "inference 10 started with 31 items: 3 of 3 partial items carried on" in words(shown.page, "#next")
    assert words(shown.page, "#lives").count("Carried on") == 3
    shown.page.get_by_role("link", name="event 82").first.click()
    expect(shown.page.locator("h1")).to_have_text("Event 82 inference_cancelled")


def test_failures_and_retries(shown: Shown) -> None:
    shown.open("0.169.0/story", "inferences/5/")
    assert words(shown.page, ".sentence").startswith("Failed — unexpected status 503 Service Unavailable")
    assert "No item was complete when the stream was cut." in words(shown.page, "#output")
    shown.open("0.169.0/retried", "inferences/1/")
    assert "Retried by inference 2" in words(shown.page, "#next")
    assert "Carried on" in words(shown.page, "#lives")
    shown.page.get_by_role("link", name="inference 2").first.click()
    assert "Retried by inference 3" in words(shown.page, "#next")
    shown.page.get_by_role("link", name="inference 3").first.click()
    assert words(shown.page, ".sentence").startswith("Completed — the provider finished the response · event ")


def test_a_killed_writer(shown: Shown) -> None:
    shown.open("0.169.0/killed", "inferences/2/")
    assert words(shown.page, ".sentence") == "Running — the recording stops here"
    assert "No later request" in words(shown.page, "#next")
    assert "unknown: no end was recorded" in words(shown.page, "main")
    shown.open("0.169.0/killed")
    expect(shown.page.locator(".head .chip").first).to_have_text("Running")


def test_a_repaired_end(shown: Shown) -> None:
    shown.open("0.125.0/interactive", "inferences/2/")
    assert words(shown.page, ".sentence") == (
        "Cancelled — closed when its turn ended (event 15); no terminal event was recorded"
    )
    assert "Nothing was recorded of what the model had written." in words(shown.page, "#output")
    expect(shown.page.locator(".evidence.inferred")).to_be_visible()
    assert "Next inference: inference 3" in words(shown.page, "#next")


def test_a_late_end(shown: Shown) -> None:
    shown.open("0.128.0/cancelled_late", "inferences/3/")
    assert words(shown.page, ".sentence") == (
        "Cancelled — closed when its turn ended (event 24); its own end came later (event 26) with 3 complete items"
    )
    output = words(shown.page, "#output")
    assert output.index("half of the third answer") < output.index("Closed here, at its turn's end")
    assert words(shown.page, "#lives").count("No later request") == 3


def test_the_rollout_page(shown: Shown) -> None:
    shown.open("0.169.0/story")
    page = shown.page
    expect(page.locator(".problems li")).to_have_count(4)
    assert "Failed Inference 4" in words(page, ".problems li")
    expect(page.locator("#inspector h2")).to_have_text("Inference 4")
    page.locator(".outline a", has_text="Inference 9").click()
    expect(page.locator("#inspector h2")).to_have_text("Inference 9")
    expect(page.locator(".outline a[aria-current]")).to_contain_text("Inference 9")
    assert page.url.endswith(shown.at["0.169.0/story"])
    expect(page.locator("#conversation .cutline").first).to_contain_text("Broke off here")
    page.get_by_label("Agent", exact=True).select_option(label="/root/check_callers")
    expect(page.locator("#conversation")).to_contain_text("Only invoice.py:17 rounds money")
    page.locator("#inspector").get_by_role("link", name="Open page").click()
    expect(page.locator("h1")).to_have_text("Inference 9")


def test_a_narrow_screen_in_the_dark(shown: Shown, new_page: Callable[..., Page]) -> None:
    page = new_page(viewport={"width": 360, "height": 800}, color_scheme="dark")
    for rest in ("", "inferences/9/", "tools/call_1/", "events/82/", "payloads/50/", "events/"):
        page.goto(f"{shown.url}{shown.at['0.169.0/story']}{rest}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, rest
    page.goto(f"{shown.url}{shown.at['0.169.0/story']}")
    page.locator(".outline a", has_text="Inference 9").click()
    expect(page.locator("h1")).to_have_text("Inference 9")


def test_without_a_script(shown: Shown, new_page: Callable[..., Page]) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{shown.url}{shown.at['0.169.0/story']}")
    page.locator(".outline a", has_text="Inference 9").click()
    assert page.locator("h1").inner_text() == "Inference 9"
    page.get_by_text("23 earlier items kept").click()
    page.get_by_role("link", name="Show 23 kept items").click()
    assert "Looking around" in words(page, "#kept")
    page.goto(f"{shown.url}{shown.at['0.169.0/story']}")
    page.get_by_label("Agent", exact=True).select_option(label="/root/check_callers")
    page.get_by_role("button", name="Show").click()
    assert "Only invoice.py:17 rounds money" in words(page, "#conversation")
