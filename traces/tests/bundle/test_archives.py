"""Real recordings packed in every way flow in; the same bundles, byte for byte, flow out."""

import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from traces.bundle.archives import open_bundles
from traces.bundle.errors import BundleError
from traces.tests.bundle.packing import (
    BUNDLE,
    KINDS,
    Files,
    Pack,
    below,
    files_of,
    pack_gzip,
    pack_tar,
    pack_zip,
    read_files,
)
from traces.tests.fixtures.recordings import BUNDLES, recording_folder

STORY = read_files(recording_folder("0.169.0/story"))


def store(folder: Path, data: bytes, name: str = "upload") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("folder", ["", "trace-1"])
def test_a_real_recording_in_every_kind(tmp_path: Path, pack: Pack, folder: str) -> None:
    archive = store(tmp_path, pack(below(folder, STORY) if folder else STORY), "some.name")
    with open_bundles(archive) as bundles:
        (bundle,) = bundles
        assert bundle.name == (folder or "some.name")
        assert files_of(bundle) == STORY
        assert sum(1 for _ in bundle.lines()) == 156


@pytest.mark.parametrize("pack", [KINDS[kind] for kind in ("zip", "tar", "tar.gz", "tar.zst")])
def test_every_recording_of_a_version_in_one_archive(tmp_path: Path, pack: Pack) -> None:
    files = read_files(BUNDLES / "0.152.0")
    with open_bundles(store(tmp_path, pack(files))) as bundles:
        assert [bundle.name for bundle in bundles] == sorted(path.name for path in (BUNDLES / "0.152.0").iterdir())
        assert {f"{bundle.name}/{name}": data for bundle in bundles for name, data in files_of(bundle).items()} == files


def test_a_folder_is_read_where_it_lies() -> None:
    with open_bundles(BUNDLES / "0.169.0" / "killed") as bundles:
        assert [bundle.name for bundle in bundles] == ["killed"]
    with open_bundles(BUNDLES / "0.169.0") as bundles:
        assert len(bundles) == len(list((BUNDLES / "0.169.0").iterdir()))


names = st.text(st.characters(exclude_characters="/\\\0:", exclude_categories=["Cs"]), min_size=1, max_size=60)
usual = names.filter(lambda name: name not in {".", "..", "__MACOSX", ".DS_Store"} and not name.startswith("._"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(usual, st.binary(max_size=2000), max_size=5), st.sampled_from(sorted(KINDS)))
def test_any_names_and_any_bytes(tmp_path: Path, payloads: Files, kind: str) -> None:
    files = BUNDLE | below("more", {name: data for name, data in payloads.items() if len(name.encode()) < 90})
    with open_bundles(store(tmp_path, KINDS[kind](files))) as bundles:
        assert files_of(bundles[0]) == files


@pytest.mark.parametrize("pack", [KINDS[kind] for kind in ("zip", "tar", "tar gnu", "tar.zst")])
def test_long_names(tmp_path: Path, pack: Pack) -> None:
    files = BUNDLE | {f"{'deep/' * 12}{'n' * 240}.json": b"[]", f"payloads/{'ü' * 100}.json": b"{}"}
    with open_bundles(store(tmp_path, pack(files))) as bundles:
        assert files_of(bundles[0]) == files


@pytest.mark.parametrize("pack", KINDS.values(), ids=KINDS)
def test_what_a_mac_adds_is_left_out(tmp_path: Path, pack: Pack) -> None:
    junk = {
        "__MACOSX/._manifest.json": b"x",
        ".DS_Store": b"x",
        "t/._manifest.json": b"x",
        "t/payloads/.DS_Store": b"x",
    }
    with open_bundles(store(tmp_path, pack(junk | below("t", BUNDLE) | {"._t": b"x"}))) as bundles:
        assert [bundle.name for bundle in bundles] == ["t"]
        assert files_of(bundles[0]) == BUNDLE


def test_folders_and_global_headers_in_a_tar(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "ü" * 600}) as archive:
        archive.add(recording_folder("0.169.0/story"), arcname="./story")
    with open_bundles(store(tmp_path, out.getvalue())) as bundles:
        assert files_of(bundles[0]) == STORY


def test_backslashes_of_a_windows_packer(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in BUNDLE.items():
            info = zipfile.ZipInfo(f"trace\\{name}".replace("/", "\\"))
            info.create_system = 0
            archive.writestr(info, data)
    with open_bundles(store(tmp_path, out.getvalue())) as bundles:
        assert files_of(bundles[0]) == BUNDLE


def test_nothing_stays_behind(tmp_path: Path) -> None:
    archive = store(tmp_path, pack_zip(BUNDLE))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with open_bundles(archive, scratch) as bundles:
        assert files_of(bundles[0]) == BUNDLE
    with pytest.raises(KeyError, match="mine"), open_bundles(archive, scratch):
        raise KeyError("mine")
    with pytest.raises(BundleError), open_bundles(store(tmp_path, pack_zip({"x": b""})), scratch):
        pass
    assert list(scratch.iterdir()) == []


# No bundle


@pytest.mark.parametrize("pack", KINDS.values(), ids=KINDS)
def test_no_bundle_is_one_sentence(tmp_path: Path, pack: Pack) -> None:
    sentence = "^No bundle found in x.zip: expected manifest.json and trace.jsonl at its root or one folder down$"
    for files in ({"readme.txt": b""}, {"a/manifest.json": b"{}"}, {}):
        with pytest.raises(BundleError, match=sentence), open_bundles(store(tmp_path, pack(files), "x.zip")):
            pass


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="No bundle found in "), open_bundles(tmp_path):
        pass


def test_a_bundle_too_deep_is_named(tmp_path: Path) -> None:
    archive = store(tmp_path, pack_tar(below("home/me/trace-1", BUNDLE)))
    with pytest.raises(BundleError, match=r"pack the folder home/me/trace-1 itself$"), open_bundles(archive):
        pass


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"", "no archive"),
        (b"%PDF", "no archive"),
        (b"\xfd7zXZ\0", "an xz file"),
        (b"Rar!", "a rar"),
        (b"BZh9", "bzip2"),
    ],
)
def test_other_files_are_named(tmp_path: Path, start: bytes, said: str) -> None:
    archive = store(tmp_path, start + b"text" * 300)
    sentence = f"^mine: this is .*{said}.*give a folder, a .zip"
    with pytest.raises(BundleError, match=sentence), open_bundles(archive, name="mine"):
        pass


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with (
        pytest.raises(BundleError, match=r"^nothing\.zip: there is no such file"),
        open_bundles(tmp_path / "nothing.zip"),
    ):
        pass


def test_a_scratch_folder_that_is_not_there(tmp_path: Path) -> None:
    archive = store(tmp_path, pack_zip(BUNDLE))
    with pytest.raises(BundleError, match="no place to unpack"), open_bundles(archive, tmp_path / "nothing"):
        pass


# Memory

LARGE = 100_000_000


def zeros() -> Iterator[bytes]:
    return (bytes(1_000_000) for _ in range(LARGE // 1_000_000))


def large_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in BUNDLE.items():
            archive.writestr(name, data)
        with archive.open("payloads/3.json", "w") as member:
            for piece in zeros():
                member.write(piece)


def large_tar_zst(path: Path) -> None:
    member = tarfile.TarInfo("payloads/3.json")
    member.size = LARGE
    with open(path, "wb") as file, zstandard.ZstdCompressor().stream_writer(file) as out:
        for name, data in BUNDLE.items():
            plain = tarfile.TarInfo(name)
            plain.size = len(data)
            out.write(plain.tobuf() + data + bytes(-len(data) % 512))
        out.write(member.tobuf())
        for piece in zeros():
            out.write(piece)
        out.write(bytes(-LARGE % 512 + 1024))


@pytest.mark.parametrize("pack", [large_zip, large_tar_zst])
def test_a_large_member_is_never_in_memory(tmp_path: Path, pack: Callable[[Path], None]) -> None:
    pack(tmp_path / "large")
    tracemalloc.start()
    with open_bundles(tmp_path / "large") as bundles:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert bundles[0].payload_size("payloads/3.json") == LARGE
    assert peak < 5_000_000


def test_errors_are_told_under_the_name_people_know(tmp_path: Path) -> None:
    archive = store(tmp_path, pack_gzip(BUNDLE)[:-30], "9f8e7d")
    with pytest.raises(BundleError, match=r"^story\.tar\.gz: "), open_bundles(archive, name="story.tar.gz"):
        pass
