"""Archives made to do harm, and archives that came to harm, flow in; one sentence flows out and nothing is written."""

import gzip
import io
import random
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import zstandard

from traces.bundle.archives import open_bundles
from traces.bundle.errors import BundleError
from traces.bundle.limits import DEFAULT_LIMITS, Limits
from traces.tests.bundle.packing import (
    BUNDLE,
    KINDS,
    below,
    files_of,
    pack_gzip,
    pack_member,
    pack_tar,
    pack_zip,
    pack_zip_stored,
)


def refused(folder: Path, data: bytes, limits: Limits = DEFAULT_LIMITS) -> str:
    """The sentence; the place to unpack must be empty again and nothing must lie beside it."""
    scratch = folder / "room" / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    (folder / "room" / "upload").write_bytes(data)
    with pytest.raises(BundleError) as caught, open_bundles(folder / "room" / "upload", scratch, limits):
        pass
    assert sorted(path.name for path in folder.rglob("*")) == ["room", "scratch", "upload"]
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(folder) not in sentence
    return sentence


def zip_member(info: zipfile.ZipInfo, data: bytes = b"x") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in BUNDLE.items():
            archive.writestr(name, content)
        archive.writestr(info, data)
    return out.getvalue()


# Names

NAMES = [
    "../evil",
    "/etc/evil",
    "payloads/../../evil",
    "a\\..\\..\\evil",
    "C:\\evil",
    "c:evil",
    "..",
    "//host/evil",
    "x/..",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_names_that_leave_the_archive(tmp_path: Path, kind: str, name: str) -> None:
    assert "path" in refused(tmp_path, KINDS[kind](BUNDLE | {name: b"evil"}))


@pytest.mark.parametrize("name", ["..\\evil", "\\evil", "C:\\evil", "a\\..\\b"])
def test_names_of_a_windows_packer_that_leave_the_archive(tmp_path: Path, name: str) -> None:
    info = zipfile.ZipInfo(name)
    info.create_system = 0
    assert "path" in refused(tmp_path, zip_member(info))


@pytest.mark.parametrize("name", ["../", "/etc/", "a/../../"])
def test_folders_that_leave_the_archive(tmp_path: Path, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE
    assert "path" in refused(tmp_path, pack_member(member))
    assert "path" in refused(tmp_path, zip_member(zipfile.ZipInfo(name), b""))


def test_a_nul_in_a_name(tmp_path: Path) -> None:
    data = pack_zip(BUNDLE | {"good.jsonXevil": b"x"}).replace(b"good.jsonXevil", b"good.json\0evil")
    assert "character" in refused(tmp_path, data)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        archive.addfile(tarfile.TarInfo("ü.json"))
    assert "not UTF-8" in refused(tmp_path, out.getvalue())
    data = pack_zip(BUNDLE | {"ü.json": b""}).replace("ü".encode(), b"\xfc\xfd")
    assert "damaged zip" in refused(tmp_path, data)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_name_no_file_system_takes(tmp_path: Path, kind: str) -> None:
    assert "file name too long" in refused(tmp_path, KINDS[kind](BUNDLE | {"n" * 300: b""}))
    assert "longer than 1,024 bytes" in refused(tmp_path, KINDS[kind](BUNDLE | {"n/" * 600 + "n": b""}))


# Members


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("payloads/9.json")
    member.type, member.linkname = kind, "/etc/passwd"
    assert "upload: payloads/9.json is a " in refused(tmp_path, pack_member(member))
    assert "payloads/9.json is a " in refused(tmp_path, gzip.compress(pack_member(member)))


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o060666, 0o010666])
def test_links_and_devices_in_a_zip(tmp_path: Path, mode: int) -> None:
    info = zipfile.ZipInfo("payloads/9.json")
    info.external_attr = mode << 16
    assert "is a link or a device" in refused(tmp_path, zip_member(info, b"/etc/passwd"))


@pytest.mark.parametrize("kind", [b"S", b"M", b"Z", b"\xff"])
def test_kinds_of_members_that_nobody_needs(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("payloads/9.json")
    member.type = kind
    assert "payloads/9.json is " in refused(tmp_path, pack_member(member))


def test_a_sparse_member_of_the_newer_kind(tmp_path: Path) -> None:
    member = tarfile.TarInfo("payloads/9.json")
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    assert "is a sparse file" in refused(tmp_path, pack_member(member))


@pytest.mark.parametrize("name", ["payloads/1.json", "./payloads//1.json", "payloads", "manifest.json/x"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_second_member_of_the_same_name(tmp_path: Path, name: str) -> None:
    assert "twice" in refused(tmp_path, pack_member(tarfile.TarInfo(name)))
    assert "twice" in refused(tmp_path, zip_member(zipfile.ZipInfo(name)))


def test_an_encrypted_member(tmp_path: Path) -> None:
    data = bytearray(pack_zip(BUNDLE))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(signature) + flags] |= 1
    assert "manifest.json is encrypted; pack the bundle without a password" in refused(tmp_path, bytes(data))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_method_that_is_not_read(tmp_path: Path, method: int) -> None:
    assert f"method {method}" in refused(tmp_path, pack_zip(BUNDLE, method))


# Limits


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb(tmp_path: Path, kind: str) -> None:
    data = KINDS[kind](BUNDLE | {"payloads/9.json": bytes(2_000_000)})
    assert "more than 500,000 bytes" in refused(tmp_path, data, Limits(unpacked_bytes=500_000))
    assert "payloads/9.json is larger than 500,000" in refused(tmp_path, data, Limits(file_bytes=500_000))
    if kind in {"zip", "tar.gz", "tar.zst"}:
        assert "more than 20 times its size" in refused(tmp_path, data, Limits(ratio=20, ratio_after_bytes=100_000))


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_files(tmp_path: Path, kind: str) -> None:
    data = KINDS[kind](BUNDLE | below("payloads", {f"{number}x": b"" for number in range(100)}))
    assert "more than 50 files" in refused(tmp_path, data, Limits(files=50))


def test_folders_count_too(tmp_path: Path) -> None:
    data = pack_tar(BUNDLE | {f"{number}/a/b/c/d": b"" for number in range(20)})
    assert "more than 50 files" in refused(tmp_path, data, Limits(files=50))


@pytest.mark.parametrize("kind", KINDS)
def test_too_deep(tmp_path: Path, kind: str) -> None:
    assert "folders deep" in refused(tmp_path, KINDS[kind](BUNDLE | {"d/" * 20 + "x": b""}))


def test_a_long_list_of_files_is_refused_before_it_is_kept(tmp_path: Path) -> None:
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", *[0] * 17, 0)[:46]
    directory = (entry[:28] + b"\x01\x00" + entry[30:46] + b"x") * 200_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
    tracemalloc.start()
    sentence = refused(tmp_path, b"PK\x03\x04" + directory + end, Limits(files=100_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "more than 100,000 files" in sentence
    assert peak < 4 * len(directory)


def test_a_huge_extended_header(tmp_path: Path) -> None:
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, 500_000_000
    data = zstandard.compress(member.tobuf() + bytes(20_000_000))
    assert "longer than 1,000,000 bytes" in refused(tmp_path, data)


def test_a_window_that_needs_a_gigabyte(tmp_path: Path) -> None:
    settings = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    assert "too much memory" in refused(tmp_path, packer.compress(pack_tar(BUNDLE)) + packer.flush())


def test_endless_zeros_behind_the_end(tmp_path: Path) -> None:
    data = gzip.compress(pack_tar(BUNDLE) + bytes(3_000_000))
    assert "more than 1,000,000 bytes" in refused(tmp_path, data, Limits(unpacked_bytes=1_000_000))


# Damage


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_anywhere(tmp_path: Path, kind: str) -> None:
    whole = KINDS[kind](BUNDLE)
    for length in [*random.Random(1).sample(range(len(whole)), 60), len(whole) - 1]:
        outcome = opened_or_sentence(tmp_path, whole[:length])
        # What is cut from the very end may be padding; then all that was packed must be there.
        assert outcome == BUNDLE or isinstance(outcome, str), (length, outcome)
        assert isinstance(outcome, str) or length > len(whole) * 0.4


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.zst"])
def test_a_tar_cut_between_two_members_is_no_shorter_tar(tmp_path: Path, kind: str) -> None:
    data = pack_tar(BUNDLE)
    cut = data[: data.index(b"payloads/2.json")]
    assert len(cut) % 512 == 0
    packed = {"tar": cut, "tar.gz": gzip.compress(cut), "tar.zst": zstandard.compress(cut)}[kind]
    assert "cut off" in refused(tmp_path, packed)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_changed_anywhere(tmp_path: Path, kind: str) -> None:
    whole, chance = KINDS[kind](BUNDLE), random.Random(2)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        opened_or_sentence(tmp_path, bytes(data))  # any other exception fails the test


@pytest.mark.parametrize(
    "start", [b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18", b"x"]
)
def test_garbage_behind_a_good_start(tmp_path: Path, start: bytes) -> None:
    for seed in range(20):
        refused(tmp_path, start + random.Random(seed).randbytes(2000))


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_something_else_inside(tmp_path: Path, pack: "type[bytes]") -> None:
    assert "not a tar archive inside" in refused(tmp_path, pack(b"a plain text " * 100))


def opened_or_sentence(folder: Path, data: bytes) -> dict[str, bytes] | str:
    (folder / "upload").write_bytes(data)
    try:
        with open_bundles(folder / "upload", folder) as bundles:
            return files_of(bundles[0])
    except BundleError as error:
        return str(error)


def test_a_checksum_that_does_not_fit(tmp_path: Path) -> None:
    data = bytearray(pack_zip_stored(BUNDLE))
    data[data.index(b"and more")] ^= 1
    assert "damaged zip" in refused(tmp_path, bytes(data))
    packed = bytearray(pack_gzip(BUNDLE))
    packed[-6] ^= 1
    assert "damaged or cut off" in refused(tmp_path, bytes(packed))
