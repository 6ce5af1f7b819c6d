"""Files, folders and nonsense are dropped or chosen; uploads, their sentences and their links flow out."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from shutil import copytree, ignore_patterns

from playwright.sync_api import Page, expect

from traces.tests.browser.dropping import drop, opened, words
from traces.tests.fixtures.recordings import recording_folder
from traces.tests.fixtures.site import LiveSite


def as_written(name: str, target: Path) -> Path:
    """The folder of a recording as the client leaves it."""
    return copytree(
        recording_folder(name), target / f"trace-{name.replace('/', '-')}", ignore=ignore_patterns("expected")
    )


def test_an_empty_site_takes_a_dropped_folder(live_site: LiveSite, page: Page, tmp_path: Path) -> None:
    page.goto(live_site.url)
    expect(page.locator("h2")).to_contain_text(["No rollouts yet. Drop a trace bundle anywhere on this page."])
    drop(page, [as_written("0.169.0/story", tmp_path)])
    address = opened(page, "trace-0.169.0-story")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("#upload-news")).to_contain_text("A new rollout with 156 events")
    expect(page.get_by_text("No rollouts yet")).to_be_hidden()
    page.goto(live_site.url + address)
    expect(page.locator("h1")).to_contain_text("One of the tests in this folder fails")


def test_a_folder_of_bundles_is_one_request(live_site: LiveSite, page: Page, tmp_path: Path) -> None:
    root = tmp_path / "traces"
    for name in ("0.169.0/retried", "0.128.0/killed"):
        as_written(name, root)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    page.goto(live_site.url)
    drop(page, [root])
    opened(page, "traces")
    expect(page.locator("#uploads .verdicts li")).to_have_count(2)
    assert len(sent) == 1


def test_chosen_folders_and_files(
    live_site: LiveSite, page: Page, zipped: Callable[[str], Path], tmp_path: Path
) -> None:
    page.goto(live_site.url)
    page.locator("[data-folder]").set_input_files(as_written("0.169.0/retried", tmp_path))
    opened(page, "trace-0.169.0-retried")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files([zipped("0.169.0/killed"), zipped("0.125.0/interactive")])
    opened(page, "0.169.0-killed.zip")
    opened(page, "0.125.0-interactive.zip")
    expect(page.locator("tbody tr")).to_have_count(3)


def test_long_and_foreign_names_survive_the_tar(live_site: LiveSite, page: Page, tmp_path: Path) -> None:
    root = tmp_path / "traces"
    as_written("0.169.0/retried", root).rename(root / ("žluťoučký kůň " + "x" * 200))
    as_written("0.169.0/killed", root).rename(root / ("y" * 120))
    page.goto(live_site.url)
    drop(page, [root])
    opened(page, "traces")
    expect(page.locator("#uploads .verdicts li")).to_have_count(2)


def test_the_tar_is_what_other_programs_read(live_site: LiveSite, page: Page) -> None:
    files = {
        "manifest.json": 1,
        f"{'a' * 90}/{'b' * 90}": 0,
        f"{'c' * 200}/{'d' * 101}": 511,
        "složka/ž.json": 512,
        "payloads/5.json": 513,
    }
    page.goto(live_site.url)
    packed = page.evaluate(
        """async (files) => {
            const { pack } = await import("/static/traces/js/tar.js");
            const make = ([path, size]) => ({ path, file: new File(["z".repeat(size)], "f") });
            const made = Object.entries(files).map(make);
            return Array.from(new Uint8Array(await pack(made).arrayBuffer()));
        }""",
        files,
    )
    with tarfile.open(fileobj=io.BytesIO(bytes(packed))) as archive:
        assert {member.name: member.size for member in archive} == files
        content = archive.extractfile("payloads/5.json")
        assert content is not None
        assert content.read() == b"z" * 513


def test_the_same_again_and_what_is_no_trace(
    live_site: LiveSite, page: Page, zipped: Callable[[str], Path], tmp_path: Path
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("not a trace")
    page.goto(live_site.url)
    drop(page, [zipped("0.169.0/retried")])
    first = opened(page, "0.169.0-retried.zip")
    page.get_by_role("button", name="Dismiss").click()
    drop(page, [zipped("0.169.0/retried"), notes])
    assert opened(page, "0.169.0-retried.zip") == first
    row = page.locator("#uploads > li", has_text="notes.txt")
    expect(row).to_contain_text("Not opened")
    row.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_an_empty_folder_is_said(live_site: LiveSite, page: Page, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    page.goto(live_site.url)
    drop(page, [tmp_path / "nothing"])
    expect(page.locator("#uploads > li")).to_contain_text("The folder is empty.")


def test_the_form_works_without_a_script(
    live_site: LiveSite, new_page: Callable[..., Page], zipped: Callable[[str], Path]
) -> None:
    page = new_page(java_script_enabled=False)
    page.goto(live_site.url)
    page.get_by_label("Archives to open").set_input_files([zipped("0.169.0/retried")])
    page.get_by_role("button", name="Open these files").click()
    page.get_by_role("link", name="try again when the stream breaks").click()
    assert "try again when the stream breaks" in words(page, "h1")


def test_theme_and_keyboard(live_site: LiveSite, page: Page) -> None:
    page.goto(live_site.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    switch = page.get_by_role("button", name="Theme: auto")
    switch.click()
    switch = page.get_by_role("button", name="Theme: light")
    switch.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()


def test_a_missing_page_shows_the_way_on(live_site: LiveSite, page: Page, page_problems: list[str]) -> None:
    page.goto(f"{live_site.url}/rollouts/nobody/")
    expect(page.locator("h1")).to_have_text("There is nothing here.")
    page.get_by_role("link", name="To all rollouts").click()
    expect(page.locator("h1")).to_have_text("Rollouts")
    assert len(page_problems) == 1  # the browser itself reports the 404
    page_problems.clear()
