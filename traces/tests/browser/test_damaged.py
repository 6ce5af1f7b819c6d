"""Every damaged or hostile upload of the list is chosen in Chromium; its sentence is read from the page."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from traces.tests.browser.dropping import READY
from traces.tests.fixtures.site import Blank
from traces.tests.hostile.damaged import CASES, SETTINGS, Case
from traces.tests.hostile.servers import Server

AT_ONCE = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the site."""
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def site(blank_database: Blank, data: Path) -> Iterator[Server]:
    """A site with small limits."""
    env = blank_database.copy(data) | SETTINGS
    server = Server(env, data / "serve.log")
    yield server
    assert "Traceback" not in server.stop()
    blank_database.drop(env)


def choose(page: Page, folder: Path, some: list[Case]) -> None:
    """As somebody chooses files."""
    for case in some:
        (folder / case.name).write_bytes(case.data)
    page.locator("[name=files]").set_input_files([folder / case.name for case in some])


def row(page: Page, case: Case) -> Locator:
    name = page.locator(".name", has_text=re.compile(f"^{re.escape(case.name)}$"))
    return page.locator("#uploads > li").filter(has=name)


def test_each_has_its_sentence(site: Server, page: Page, tmp_path: Path) -> None:
    """They share one trace id, so the site also has to keep many contents of one recording apart."""
    cases = list(CASES.values())
    for start in range(0, len(cases), AT_ONCE):
        page.goto(site.url)
        some = cases[start : start + AT_ONCE]
        choose(page, tmp_path, some)
        for case in some:
            check(page, case)


def files(data: Path) -> list[Path]:
    """What lies where uploads go."""
    return sorted(path for name in ("uploads", "scratch", "tmp") for path in (data / name).rglob("*") if path.is_file())


def check(page: Page, case: Case) -> None:
    """What the row says; of a recording that was read before, or is another one of the same trace, only that."""
    here = row(page, case)
    expect(here).to_contain_text(READY, timeout=30_000)
    if case.end == "refused":
        expect(here).to_contain_text("Not opened")
        expect(here).to_contain_text(case.sentence)
    else:
        expect(here.get_by_role("link")).to_have_count(1)
        expect(here).not_to_contain_text("Not opened")
    if case.end == "stopped":
        expect(here).to_contain_text(case.sentence)


@pytest.mark.parametrize("name", [case.name for case in CASES.values() if case.end == "stopped"][::5])
def test_the_page_of_a_rollout_says_where_reading_stopped(site: Server, page: Page, tmp_path: Path, name: str) -> None:
    page.goto(site.url)
    choose(page, tmp_path, [CASES[name]])
    row(page, CASES[name]).get_by_role("link").click()
    note = page.get_by_role("note").filter(has_text="Reading stopped")
    expect(note).to_contain_text("could not be applied")
    expect(note).to_contain_text(CASES[name].sentence.removeprefix("line 12: "))


def test_an_upload_beyond_the_limit(site: Server, page: Page, tmp_path: Path, page_problems: list[str]) -> None:
    page.goto(site.url)
    (tmp_path / "large.zip").write_bytes(b"PK\x03\x04" + bytes(3_000_000))
    page.locator("[name=files]").set_input_files(tmp_path / "large.zip")
    said = "This upload is larger than 2,500,000 bytes, the limit of TRACESITE_MAX_UPLOAD_BYTES; raise it and try again"
    expect(page.locator("#uploads > li", has_text="large.zip").last).to_contain_text(said)
    assert len(page_problems) == 1  # the browser itself reports the 413
    page_problems.clear()


def test_a_page_that_is_left_half_way(site: Server, new_page: Callable[..., Page], tmp_path: Path, data: Path) -> None:
    """A browser disconnects: no row, no file."""
    page = new_page()
    page.goto(site.url)
    before = files(data)
    devtools = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000}
    devtools.send("Network.emulateNetworkConditions", slow)
    (tmp_path / "half.zip").write_bytes(b"PK\x03\x04" + bytes(2_000_000))
    page.locator("[name=files]").set_input_files(tmp_path / "half.zip")
    half = page.locator("#uploads > li", has_text="half.zip")
    expect(half).to_contain_text(re.compile(r"Uploading · 0\.[1-9]"))
    page.goto("about:blank")
    page.goto(site.url)
    expect(half).to_have_count(0)
    assert files(data) == before
