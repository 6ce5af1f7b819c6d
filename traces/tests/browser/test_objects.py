"""Every kind of page in Chromium: what a stranger's text may do there (nothing), and what a reader can do with keys."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Dialog, Page, Request, expect

from traces.tests.browser.dropping import drop, opened, words
from traces.tests.browser.hostile import HOSTILE, hostile_zip
from traces.tests.fixtures.recordings import recording_folder
from traces.tests.fixtures.site import LiveSite

PER_KIND = 2  # pages of one kind that are visited
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
INJECTED = """() => [...document.querySelectorAll(
    "script:not([src]), style, img, iframe, object, embed, base, link:not([rel~=stylesheet], [rel=icon]), " +
    "[onerror], [onload], [onclick], [style], a[href^='javascript:' i], a[href^='data:' i]"
)].map((element) => element.outerHTML.slice(0, 200))"""
EVERYWHERE = {"", "events", "events/*", "lines/*", "payloads/*", "payloads/*?at", "items/*", "threads/*", "turns/*"}
RECORDINGS = {
    "0.169.0/story": {"tools/*", "terminals/*", "sessions/*", "edges/*", "inferences/*"},
    "0.169.0/code_mode": {"tools/*", "terminals/*", "sessions/*", "cells/*", "inferences/*"},
    "0.128.0/compacted": {"compactions/*", "compaction-requests/*", "inferences/*"},
    "0.128.0/terminal": {"tools/*", "terminals/*", "sessions/*", "inferences/*"},
    "0.169.0/patch_fail": {"tools/*", "inferences/*"},
}


def kind_of(address: str) -> str:
    """rollouts/…/tools and the like: pages of one kind share a template."""
    parts = urlsplit(address)
    pieces = unquote(parts.path).split("/")[3:]
    query = "?" + parts.query.partition("=")[0] if parts.query else ""
    return f"{pieces[0] if pieces else ''}{'/*' if len(pieces) > 1 and pieces[1] else ''}{query}"


def visit(page: Page, start: str) -> set[str]:
    """Every kind of page that links lead to from here; the kinds that were seen."""
    seen: dict[str, int] = {}
    known, ahead = {start}, [start]
    while ahead:
        address = ahead.pop(0)
        kind = kind_of(address)
        if seen.get(kind, 0) >= PER_KIND:
            continue
        seen[kind] = seen.get(kind, 0) + 1
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        assert page.evaluate(INJECTED) == [], address
        assert not BIDI.search(page.content()), address
        for link in page.eval_on_selector_all("a[href]:not([download])", "(all) => all.map((one) => one.href)"):
            bare = link.partition("#")[0]
            if bare.startswith(start) and bare not in known:
                known.add(bare)
                ahead.append(bare)
    return set(seen)


@pytest.mark.parametrize("name", RECORDINGS)
def test_hostile_text_is_text_on_every_page(shared_site: LiveSite, page: Page, tmp_path: Path, name: str) -> None:
    """No dialog, no element of a stranger, no foreign request; console errors and violations fail the test anyway."""
    dialogs: list[str] = []
    foreign: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    def note(asked: Request) -> None:
        if not asked.url.startswith(shared_site.url):
            foreign.append(asked.url)

    page.on("dialog", dismiss)
    page.on("request", note)
    page.goto(shared_site.url)
    archive = hostile_zip(recording_folder(name), tmp_path / f"{name.replace('/', '-')}.zip")
    drop(page, [archive])
    start = shared_site.url + opened(page, archive.name)
    page.goto(start)
    assert page.get_by_text("Reading stopped").count() == 0
    assert "<script>alert(1)</script>" in page.content().replace("&lt;", "<").replace("&gt;", ">")
    assert "⟦U+202E⟧lrtb⟦U+2066⟧" in page.inner_text("body")
    kinds = visit(page, start)
    assert EVERYWHERE | RECORDINGS[name] <= kinds
    page.goto(shared_site.url)
    assert page.evaluate(INJECTED) == []
    assert (dialogs, foreign) == ([], [])


def test_hostile_text_arrives_whole(shared_site: LiveSite, page: Page, tmp_path: Path) -> None:
    """Escaped, not removed: the payload's tree shows what was recorded."""
    page.goto(shared_site.url)
    archive = hostile_zip(recording_folder("0.169.0/retried"), tmp_path / "hostile-retried.zip")
    drop(page, [archive])
    page.goto(f"{shared_site.url}{opened(page, archive.name)}payloads/1/")
    shown = (
        HOSTILE.replace("\x1b", "␛").replace("\x07", "␇").replace("\u202e", "⟦U+202E⟧").replace("\u2066", "⟦U+2066⟧")
    )
    assert shown in page.locator("#content").inner_text()


@pytest.fixture
def story(shared_site: LiveSite, page: Page, zipped: Callable[[str], Path]) -> str:
    """Where the story is read."""
    page.goto(shared_site.url)
    drop(page, [zipped("0.169.0/story")])
    return shared_site.url + opened(page, "0.169.0-story.zip")


def test_a_cold_rollout_and_a_jump_need_few_requests(story: str, new_page: Callable[..., Page]) -> None:
    """Styles, scripts and the icon are counted too: that one only devtools see, and each new address asks for it."""
    page, asked = new_page(), []
    devtools = page.context.new_cdp_session(page)
    devtools.on("Network.requestWillBeSent", lambda event: asked.append(event["request"]["url"]))
    devtools.send("Network.enable")
    page.goto(story)
    page.wait_for_load_state("networkidle")
    page.get_by_label("Jump to").fill("50%")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{story}?jump=50%25")
    page.wait_for_timeout(500)
    assert 10 < len(asked) <= 19, asked


def test_a_jump_lands_with_one_request(page: Page, story: str) -> None:
    page.goto(story)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("Jump to").fill("inference 12")
    page.keyboard.press("Enter")
    expect(page.locator(".outline a[aria-current]")).to_contain_text("Inference 12")
    expect(page.locator("#inspector h2")).to_have_text("Inference 12")
    assert len([url for url in asked if "jump=" in url]) == 1
    assert all("jump=" in url or "/static/" in url for url in asked)
    assert "jump=inference" in page.url
    page.locator(".outline a", has_text="Inference 13").click()
    expect(page.locator("#inspector h2")).to_have_text("Inference 13")
    page.get_by_label("Jump to").fill("somewhere")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("“somewhere” names no place here")


def test_a_jump_without_a_script(shared_site: LiveSite, story: str, new_page: Callable[..., Page]) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(story)
    page.get_by_label("Jump to").fill("50%")
    page.get_by_role("button", name="Go").click()
    assert page.locator(".outline a[aria-current]").count() == 1
    assert page.locator("#inspector h2").inner_text()


def test_a_tree_opens_by_keys(page: Page, story: str) -> None:
    page.goto(f"{story}payloads/45/")
    folded = page.locator(".tree details:not([open]) > summary").first
    folded.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".tree [id^=at-] .tree").first).to_be_visible()


def test_a_tree_opens_without_a_script(story: str, new_page: Callable[..., Page]) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(f"{story}payloads/45/")
    page.locator(".tree details:not([open]) > summary").first.click()
    page.get_by_role("link", name="Show what it holds").first.click()
    assert "at=" in page.url
    assert page.locator(".tree li").count() > 1
    page.get_by_role("link", name="whole payload").click()
    assert page.url.partition("#")[0].endswith("/payloads/45/?at=")


def test_the_log_is_filtered_by_a_form(page: Page, story: str) -> None:
    page.goto(f"{story}events/")
    page.get_by_label("Type").select_option("inference_cancelled")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#events tbody tr")).to_have_count(1)
    assert "type=inference_cancelled" in page.url
    page.get_by_role("link", name="Inference 9").click()
    expect(page.locator("h1")).to_have_text("Inference 9")


def test_pages_fit_a_narrow_screen(story: str, new_page: Callable[..., Page]) -> None:
    page = new_page(viewport={"width": 360, "height": 800}, color_scheme="dark")
    for rest in ("", "events/?type=inference_started", "tools/call_1/", "tools/call_5/", "payloads/45/", "?jump=50%25"):
        page.goto(f"{story}{rest}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, rest
    page.goto(f"{story}tools/call_1/")
    page.get_by_role("link", name="The whole terminal").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert "/bin/bash -lc ls -la" in words(page, "main")
