"""Folders with good, odd and hostile files flow in; the bundle's own lines and payloads flow out, and nothing else."""

import io
import os
import socket
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.bundle.errors import BundleError
from traces.bundle.limits import Limits
from traces.bundle.paths import split_path
from traces.bundle.places import find_bundles
from traces.bundle.reader import Bundle, Lines
from traces.tests.bundle.packing import BUNDLE, Files
from traces.tests.fixtures.recordings import BUNDLES


def write(folder: Path, files: Files) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return write(tmp_path / "recorded", BUNDLE)


@pytest.fixture
def bundle(recorded: Path) -> Bundle:
    return Bundle(recorded)


# Lines


def plain_lines(data: bytes) -> list[tuple[int, bytes, bool]]:
    """The rule in its shortest form: split at each line feed, drop one carriage return before it."""
    *ended, rest = data.split(b"\n")
    lines = [(number, line.removesuffix(b"\r"), True) for number, line in enumerate(ended, 1)]
    return [*lines, (len(ended) + 1, rest, False)]


@given(st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b" ", b"\t", b"{", b"ab", b"\x85", b"\xff", b"\0"])))
def test_lines_are_split_as_the_client_splits_them(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    expected = [line for line in plain_lines(data) if line[1].strip(b" \t\r")]
    assert [line[:3] for line in Lines(io.BytesIO(data))] == expected


@given(st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b" ", b"{", b"ab", b"\xff"])))
def test_no_byte_of_a_log_is_lost(pieces: list[bytes]) -> None:
    lines = Lines(io.BytesIO(b"".join(pieces)))
    assert b"".join(line.gap + line.data for line in lines) + lines.rest == b"".join(pieces)


def test_empty_lines_without_an_end() -> None:
    with pytest.raises(BundleError, match=r"the empty lines up to line \d+ of trace\.jsonl are longer than 100 bytes"):
        list(Lines(io.BytesIO(b"{}" + b"\n" * 1000), Limits(line_bytes=100)))


@given(st.lists(st.binary(max_size=40).map(lambda line: b"{" + line.replace(b"\n", b""))), st.integers(1, 50))
def test_the_size_of_reads_does_not_matter(lines: list[bytes], size: int) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"\n".join(lines))
        file.seek(0)
        read = [line.data for line in Lines(io.BufferedReader(io.FileIO(file.fileno(), closefd=False), size))]
    assert read == [line.removesuffix(b"\r") for line in lines[:-1]] + lines[-1:]


@pytest.mark.parametrize("space", ["", " \t", "\u00a0\u2003", "\u0085\u3000", "\v\f"])
def test_white_space_alone_is_no_event(space: str) -> None:
    lines = list(Lines(io.BytesIO(f"{{}}\n{space}\n{{}}\n".encode())))
    assert [line.number for line in lines] == [1, 3]


@pytest.mark.parametrize("text", [b"\0", b"\x1c", "\u200b".encode(), "\ufeff".encode(), b"\xff"])
def test_anything_else_is_a_line(text: bytes) -> None:
    assert [line.data for line in Lines(io.BytesIO(text + b"\n"))] == [text]


def test_a_line_without_an_end_is_told_apart() -> None:
    assert [line.complete for line in Lines(io.BytesIO(b"{}\n{}"))] == [True, False]


def test_an_endless_line_is_refused() -> None:
    with pytest.raises(
        BundleError, match=r"line 2 of trace\.jsonl is longer than 100 bytes, the limit of TRACESITE_MAX"
    ):
        list(Lines(io.BytesIO(b"{}\n" + b"{" * 1000), Limits(line_bytes=100)))


def test_the_log_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    with open(write(tmp_path, BUNDLE) / "trace.jsonl", "wb") as log:
        log.writelines(b"{" + b"x" * 1000 + b"}\n" for _ in range(20_000))
    tracemalloc.start()
    assert sum(1 for _ in Bundle(tmp_path).lines()) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


# Payloads


def test_a_payload_by_its_path(bundle: Bundle) -> None:
    assert bundle.payload("payloads/1.json") == BUNDLE["payloads/1.json"]
    assert bundle.payload("./payloads//1.json") == BUNDLE["payloads/1.json"]
    assert bundle.payload_size("payloads/2.json") == 2


def test_folders_inside_payloads(bundle: Bundle, recorded: Path) -> None:
    write(recorded, {"payloads/a/b/c.json": b"[]", "top.json": b"1"})
    assert (bundle.payload("payloads/a/b/c.json"), bundle.payload("top.json")) == (b"[]", b"1")


REFUSED = ["", ".", "/", "/etc/passwd", "..", "../x", "payloads/../1.json", "payloads/..", "payloads/", "//host/x"]
REFUSED += ["a\\b", "..\\x", "C:/x", "c:x", "a\0b", "x" * 2000, "\ud800"]


@pytest.mark.parametrize("path", REFUSED)
def test_paths_that_are_refused(bundle: Bundle, path: str) -> None:
    for read in (bundle.payload, bundle.payload_size):
        with pytest.raises(BundleError) as caught:
            read(path)
        assert str(caught.value).startswith("recorded: ")


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b.json", "/", "\\", "\0", "C:"])).map("/".join))
def test_whatever_is_accepted_stays_inside(path: str) -> None:
    try:
        names = split_path(path)
    except BundleError:
        return
    assert os.path.normpath("/bundle/" + path) == "/bundle/" + "/".join(names)


def test_a_missing_payload(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"^recorded: payloads/9\.json is missing; "):
        bundle.payload("payloads/9.json")


def test_links_are_not_followed(bundle: Bundle, recorded: Path, tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", {"1.json": b"secret"})
    (recorded / "payloads" / "link.json").symlink_to(secret / "1.json")
    (recorded / "linked").symlink_to(secret)
    (recorded / "payloads" / "deep").symlink_to(secret)
    for path in ("payloads/link.json", "linked/1.json", "payloads/deep/1.json"):
        with pytest.raises(BundleError, match="link"):
            bundle.payload(path)


def test_a_linked_payloads_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "recorded", {"manifest.json": BUNDLE["manifest.json"], "trace.jsonl": b"{}\n"})
    (folder / "payloads").symlink_to(write(tmp_path / "secret", {"1.json": b"secret"}))
    with pytest.raises(BundleError, match="link"):
        Bundle(folder).payload("payloads/1.json")


@pytest.mark.parametrize("name", ["manifest.json", "trace.jsonl"])
def test_a_linked_manifest_or_log(bundle: Bundle, recorded: Path, tmp_path: Path, name: str) -> None:
    (recorded / name).rename(tmp_path / name)
    (recorded / name).symlink_to(tmp_path / name)
    with pytest.raises(BundleError, match="link"):
        print(bundle.manifest, list(bundle.lines()))


def test_pipes_sockets_and_folders_are_refused_at_once(bundle: Bundle, recorded: Path) -> None:
    os.mkfifo(recorded / "payloads" / "pipe.json")
    (recorded / "payloads" / "folder.json").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(recorded / "payloads" / "socket.json"))
        for path in ("payloads/pipe.json", "payloads/folder.json", "payloads/socket.json", "manifest.json/1.json"):
            with pytest.raises(BundleError):
                bundle.payload(path)


def test_the_bundle_itself_may_be_reached_by_a_link(recorded: Path, tmp_path: Path) -> None:
    (tmp_path / "by link").symlink_to(recorded)
    assert Bundle(tmp_path / "by link").payload("payloads/2.json") == b"{}"


def test_a_payload_beyond_the_limit(recorded: Path) -> None:
    with pytest.raises(
        BundleError, match=r"payloads/1\.json has \d+ bytes .* more than 100, the limit of TRACESITE_MAX"
    ):
        Bundle(recorded, limits=Limits(payload_bytes=100)).payload("payloads/1.json")


def test_a_payload_deeper_than_a_lowered_limit(recorded: Path) -> None:
    (recorded / "deep.json").write_bytes(b'{"text":"[[[[[[","deep":' + b"[" * 9 + b"]" * 9 + b"}")
    assert Bundle(recorded, limits=Limits(json_depth=10)).payload("deep.json")
    with pytest.raises(BundleError, match="nests deeper than 9 levels, the limit of TRACESITE_MAX_JSON_DEPTH"):
        Bundle(recorded, limits=Limits(json_depth=9)).payload("deep.json")


def test_short_reads_are_continued(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.read
    monkeypatch.setattr(os, "read", lambda file, size: whole(file, min(size, 7)))
    assert bundle.payload("payloads/1.json") == BUNDLE["payloads/1.json"]


def test_no_descriptor_is_left_open(bundle: Bundle) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for path in ("payloads/1.json", "payloads/9.json", "payloads", "nothing/1.json"):
        try:
            bundle.payload(path)
        except BundleError:
            continue
    assert len(os.listdir("/proc/self/fd")) == before


# Bundles


def test_errors_name_the_bundle_and_not_where_it_lies(tmp_path: Path) -> None:
    bundle = Bundle(write(tmp_path / "x", {"manifest.json": b"{}"}), name="story.zip")
    with pytest.raises(BundleError, match=r"^story\.zip/manifest\.json: ") as caught:
        print(bundle.manifest)
    with pytest.raises(BundleError, match=r"^story\.zip: trace\.jsonl is missing"):
        next(bundle.lines())
    assert str(tmp_path) not in str(caught.value)


def test_bundles_are_found_at_the_root_or_one_folder_down(tmp_path: Path) -> None:
    write(tmp_path, {f"{folder}/{name}": data for folder in ("b", "a", "c/deep") for name, data in BUNDLE.items()})
    (tmp_path / "z").symlink_to(tmp_path / "a")
    assert find_bundles(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert find_bundles(tmp_path / "a") == [tmp_path / "a"]


def test_the_real_recordings_are_found() -> None:
    assert len(find_bundles(BUNDLES / "0.169.0")) == len(list((BUNDLES / "0.169.0").iterdir()))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be read"):
        find_bundles(tmp_path / "nothing")
