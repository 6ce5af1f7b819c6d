"""The samples are opened, filtered, sorted, deleted and brought back in Chromium, with and without a script."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import FloatRect, Page, Route, expect

from traces.tests.browser.dropping import words
from traces.tests.fixtures.site import LiveSite

SAMPLES = 11
SESSIONS = 10
STORY = "One of the tests in this folder fails"


def open_samples(page: Page, url: str) -> None:
    page.goto(url)
    button = page.get_by_role("button", name="Open the sample traces")
    if button.is_visible():
        button.click()
        expect(page.locator("#uploads > li .st.completed")).to_have_count(SAMPLES, timeout=30_000)
        expect(page.locator(".htmx-request")).to_have_count(0)
    page.goto(url)


@pytest.fixture
def filled(shared_site: LiveSite, page: Page) -> Page:
    """The list with all samples; from the second test on they are here already."""
    open_samples(page, shared_site.url)
    expect(page.locator("tbody tr")).to_have_count(SESSIONS)
    return page


def test_samples_fill_an_empty_site(live_site: LiveSite, page: Page) -> None:
    page.goto(live_site.url)
    expect(page.locator("#list")).to_be_hidden()
    page.get_by_role("button", name="Open the sample traces").click()
    expect(page.locator("#uploads > li").first).to_contain_text("story.tar.zst")
    expect(page.locator("tbody tr")).to_have_count(SESSIONS, timeout=30_000)
    expect(page.get_by_text("No rollouts yet")).to_be_hidden()
    expect(page.locator("#rollouts-count")).to_have_text(f"{SAMPLES} rollouts · {SESSIONS} sessions")
    expect(page.locator("#filters select[name=model] option")).to_have_text(["any", "gpt-5.1-codex", "gpt-5.5"])


def test_filters_change_the_list_and_the_address(filled: Page) -> None:
    filled.get_by_text("Failed calls").click()
    expect(filled.locator("tbody tr")).to_have_count(2)
    expect(filled).to_have_url(re.compile(r"/\?calls=failed$"))
    filled.get_by_label("Title or session id").fill("again")
    filled.keyboard.press("Enter")
    expect(filled.locator("tbody tr")).to_have_count(1)
    expect(filled).to_have_url(re.compile(r"/\?q=again&calls=failed$"))
    expect(filled.get_by_label("Title or session id")).to_be_focused()
    filled.get_by_role("link", name="Remove the filter Failed calls").click()
    expect(filled).to_have_url(re.compile(r"/\?q=again$"))
    expect(filled.get_by_label("Failed calls")).not_to_be_checked()
    filled.go_back()
    expect(filled).to_have_url(re.compile(r"/\?q=again&calls=failed$"))
    expect(filled.get_by_label("Failed calls")).to_be_checked()
    expect(filled.locator("#totals")).to_contain_text("3 inferences")
    filled.get_by_role("link", name="Clear the filters").click()
    expect(filled.locator("tbody tr")).to_have_count(SESSIONS)


def test_news_wait_for_the_filter_that_is_on_its_way(filled: Page) -> None:
    """A list that is drawn again meanwhile takes away the link, and with it what its answer says about the form."""
    held: list[Route] = []

    def hold_first(route: Route) -> None:
        if held:
            route.continue_()
        held.append(route)

    filled.goto(filled.url + "?calls=failed")
    filled.route(re.compile(r"/$"), hold_first)
    filled.get_by_role("link", name="Remove the filter Failed calls").click()
    expect(filled.locator(".htmx-request")).to_have_count(1)
    filled.evaluate("document.body.dispatchEvent(new Event('rollouts-changed'))")
    held[0].continue_()
    expect(filled.locator("tbody tr")).to_have_count(SESSIONS)
    expect(filled.get_by_label("Failed calls")).not_to_be_checked()


def test_nothing_matches(filled: Page) -> None:
    filled.get_by_label("Since").fill("2030-01-01")
    filled.get_by_label("Model").select_option("gpt-5.5")
    expect(filled.locator("#rollouts")).to_contain_text(
        "No rollout uses the model gpt-5.5 and started on Jan 1, 2030 or later."
    )
    filled.get_by_role("link", name=re.compile("Clear")).first.click()
    expect(filled.get_by_label("Since")).to_have_value("")


def test_headings_sort_by_keyboard(filled: Page) -> None:
    heading = filled.get_by_role("link", name="Tokens")
    heading.focus()
    filled.keyboard.press("Enter")
    expect(filled.get_by_role("columnheader", name="Tokens")).to_have_attribute("aria-sort", "descending")
    expect(filled.locator("tbody tr").first).to_contain_text(STORY)
    expect(heading).to_be_focused()
    filled.keyboard.press("Enter")
    expect(filled.get_by_role("columnheader", name="Tokens")).to_have_attribute("aria-sort", "ascending")
    expect(filled.locator("tbody tr").last).to_contain_text(STORY)


def test_a_session_unfolds(filled: Page) -> None:
    filled.get_by_text("1 more recording of this session").click()
    filled.get_by_role("link", name="All recordings of this session").click()
    expect(filled.locator("tbody tr")).to_have_count(2)


def test_deleting_and_undoing(filled: Page) -> None:
    filled.goto(filled.url + "?calls=failed")
    filled.get_by_role("link", name=f"Delete {STORY}").click()
    expect(filled.locator("h1")).to_have_text("Delete this rollout?")
    filled.get_by_role("link", name="Keep it").click()
    expect(filled.locator("tbody tr")).to_have_count(2)
    filled.get_by_role("link", name=f"Delete {STORY}").click()
    filled.get_by_role("button", name="Delete the rollout").click()
    expect(filled.locator("tbody tr")).to_have_count(1)
    expect(filled).to_have_url(re.compile(r"/\?calls=failed$"))
    assert words(filled, "#deleted").startswith(f"Deleted “{STORY}")
    filled.get_by_role("button", name="Undo").click()
    expect(filled.locator("tbody tr")).to_have_count(2)
    expect(filled.locator("#deleted")).to_have_count(0)


def test_a_failed_upload_is_tried_again_and_deleted(filled: Page, tmp_path: Path) -> None:
    broken = tmp_path / "notes.zip"
    broken.write_bytes(b"no archive")
    filled.locator("input[name=files]").set_input_files(broken)
    row = filled.locator("#uploads > li", has_text="notes.zip")
    expect(row).to_contain_text("Not opened", timeout=30_000)
    filled.reload()
    with filled.expect_response(re.compile("/retry/$")) as answer:
        row.get_by_role("button", name="Try again").click()
    assert "waits for its turn" in answer.value.text()
    expect(row).to_contain_text("Not opened", timeout=30_000)
    row.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    filled.reload()
    expect(row).to_have_count(0)


WIDTHS = [1440, 1024, 768, 360]


def box(page: Page, selector: str) -> FloatRect:
    """Where an element stands."""
    found = page.locator(selector).bounding_box()
    assert found is not None
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_an_upload_stands_below_the_drop_zone(filled: Page, width: int) -> None:
    filled.set_viewport_size({"width": width, "height": 900})
    filled.locator("input[name=files]").set_input_files("traces/samples/03-interactive.tar.zst")
    row = filled.locator("#uploads > li", has_text="03-interactive.tar.zst")
    expect(row).to_contain_text("Already here", timeout=30_000)
    words, queue, zone = (box(filled, at) for at in (".drop .words", "#uploads", ".drop"))
    assert queue["y"] >= words["y"] + words["height"]
    assert queue["width"] > zone["width"] - 40


@pytest.mark.parametrize("width", WIDTHS)
def test_both_dates_stand_side_by_side(filled: Page, width: int) -> None:
    filled.set_viewport_size({"width": width, "height": 900})
    assert box(filled, "[name=since]")["y"] == box(filled, "[name=until]")["y"]
    assert filled.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_without_a_script(filled: Page, shared_site: LiveSite, new_page: Callable[..., Page]) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(shared_site.url)
    page.get_by_text("Failed calls").click()
    page.get_by_label("Model").select_option("gpt-5.5")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Inferences").click()
    expect(page).to_have_url(re.compile("sort=-inferences"))
    page.get_by_role("link", name=f"Delete {STORY}").click()
    page.get_by_role("button", name="Delete the rollout").click()
    expect(page.locator("#rollouts")).to_contain_text("No rollout has failed calls and uses the model gpt-5.5.")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_a_narrow_screen(filled: Page, shared_site: LiveSite, new_page: Callable[..., Page]) -> None:
    page = new_page(viewport={"width": 360, "height": 800}, color_scheme="dark")
    for address in ("", "?q=nothing+like+this&calls=failed&session=" + "x" * 150, "?calls=failed&sort=-tokens"):
        page.goto(f"{shared_site.url}/{address}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address
    page.get_by_role("link", name=f"Delete {STORY}").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
