"""A good recording flows in, every way to break it or to do harm with it flows out, with the sentence for it."""

import gzip
import io
import random
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Literal, NamedTuple

from traces.bundle.limits import Limits
from traces.tests.bundle.packing import Files, below, pack_gzip, pack_tar, pack_zip, pack_zstd, read_files
from traces.tests.fixtures.recordings import recording_folder

NAME = "0.169.0/retried"
RECORDING: Files = {
    path: data for path, data in read_files(recording_folder(NAME)).items() if not path.startswith("expected/")
}
LINES = RECORDING["trace.jsonl"].splitlines(keepends=True)
RESPONSE = "payloads/9.json"  # named by event 16, and needed to apply it
# Small enough for bombs that are quick to make; the recording fits.
LIMITS = Limits(
    upload_bytes=2_500_000,
    unpacked_bytes=9_000_000,
    file_bytes=4_000_000,
    files=200,
    ratio=50,
    ratio_after_bytes=5_000_000,
    line_bytes=200_000,
    payload_bytes=1_000_000,
)
SETTINGS = {f"TRACESITE_MAX_{name.upper()}": str(getattr(LIMITS, name)) for name in Limits.__struct_fields__}


class Case(NamedTuple):
    """An upload; `end` is what comes of it, `sentence` a part of what is said, `events` how many the rollout has."""

    name: str
    data: bytes
    end: Literal["refused", "stopped", "read"]
    sentence: str
    events: int = 0


def cases() -> Iterator[Case]:
    """All of them."""
    for part in (no_bundles, archives, members, bombs, manifests, logs, payloads, texts):
        yield from part()


def refused(name: str, data: bytes, sentence: str) -> Case:
    return Case(name, data, "refused", sentence)


# --- archives ---------------------------------------------------------------------------------------------------------


def no_bundles() -> Iterator[Case]:
    yield refused("nothing.zip", b"", "this is no archive; give a folder, a .zip, .tar, .tar.gz or .tar.zst")
    yield refused("text.zip", b"a plain text", "this is no archive; give a folder")
    yield refused("noise.zip", random.Random(3).randbytes(5000), "this is no archive; give a folder")
    yield refused("seven.7z", b"7z\xbc\xaf\x27\x1c" + bytes(600), "this is a 7z archive; give a folder")
    yield refused("photos.zip", pack_zip({"a.jpg": b"x"}), "No bundle found in photos.zip: expected manifest.json")
    log_alone = pack_tar({"trace.jsonl": b"{}\n"})
    yield refused("log.tar", log_alone, "No bundle found in log.tar: expected manifest.json and trace.jsonl")
    deep = pack_zip(below("home/me/traces/one", RECORDING))
    yield refused("home.zip", deep, "there is one deeper down: pack the folder home/me/traces/one itself")
    yield refused("empty.tar", pack_tar({}), "No bundle found in empty.tar")


def archives() -> Iterator[Case]:
    for kind, pack in {"zip": pack_zip, "tar.gz": pack_gzip, "tar.zst": pack_zstd}.items():
        whole = pack(RECORDING)
        yield refused(f"cut.{kind}", whole[: len(whole) // 2], "upload it again")
    two = pack_zip(RECORDING | below("inner", RECORDING))
    yield refused("two.zip", two, "it holds two manifests, manifest.json and inner/manifest.json; give each recording")
    yield refused("again.zip", zip_with("manifest.json", b"{}"), "it holds manifest.json twice; pack the bundle again")
    yield refused("again.tar", tar_with(tarfile.TarInfo("manifest.json")), "it holds manifest.json twice")
    yield refused("same.tar", tar_with(tarfile.TarInfo("payloads/./1.json")), "it holds payloads/./1.json twice")
    locked = bytearray(pack_zip(RECORDING))
    locked[locked.find(b"PK\x01\x02") + 8] |= 1
    yield refused("locked.zip", bytes(locked), "is encrypted; pack the bundle without a password")


MEMBERS = {
    "symlink": (tarfile.SYMTYPE, "is a symbolic link; pack plain files and folders only"),
    "hardlink": (tarfile.LNKTYPE, "is a hard link"),
    "device": (tarfile.CHRTYPE, "is a device"),
    "disk": (tarfile.BLKTYPE, "is a device"),
    "pipe": (tarfile.FIFOTYPE, "is a pipe"),
}


def members() -> Iterator[Case]:
    for name, (kind, sentence) in MEMBERS.items():
        member = tarfile.TarInfo("payloads/99.json")
        member.type, member.linkname = kind, "/etc/passwd"
        yield refused(f"{name}.tar", tar_with(member), f"payloads/99.json {sentence}")
    link = zipfile.ZipInfo("payloads/99.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    yield refused("symlink.zip", zip_with(link, b"/etc/passwd"), "payloads/99.json is a link or a device")
    for name, way in {"up": "../../evil", "inside": "payloads/../../evil"}.items():
        yield refused(f"{name}.zip", zip_with(way), f"the path '{way}' leaves the bundle")
        yield refused(f"{name}.tar", tar_with(tarfile.TarInfo(way)), f"the path '{way}' leaves the bundle")
    for form, data in {"zip": zip_with("/etc/evil"), "tar": tar_with(tarfile.TarInfo("/etc/evil"))}.items():
        yield refused(
            f"absolute.{form}", data, "the path '/etc/evil' is absolute; paths in a bundle are relative to it"
        )
    yield refused("drive.zip", zip_with("C:/evil"), "the path 'C:/evil' is absolute")


def bombs() -> Iterator[Case]:
    zeros = {f"payloads/{number}.zeros": bytes(3_000_000) for number in range(4)}
    noise = {"noise": random.Random(1).randbytes(300_000)}
    raised = "raise it and try again if you trust where this comes from"
    ratio = f"it unpacks to more than 50 times its size, the limit of TRACESITE_MAX_RATIO; {raised}"
    total = f"it unpacks to more than 9,000,000 bytes, the limit of TRACESITE_MAX_UNPACKED_BYTES; {raised}"
    for kind, pack in {"zip": pack_zip, "tar.gz": pack_gzip, "tar.zst": pack_zstd}.items():
        yield refused(f"ratio.{kind}", pack(RECORDING | zeros), ratio)
        yield refused(f"bomb.{kind}", pack(RECORDING | noise | zeros), total)
    large = pack_zip(RECORDING | {"payloads/99.json": bytes(4_100_000)})
    yield refused(
        "large.zip", large, "payloads/99.json is larger than 4,000,000 bytes, the limit of TRACESITE_MAX_FILE"
    )
    many = pack_zip(RECORDING | {f"payloads/x{number}": b"" for number in range(300)})
    yield refused("many.zip", many, "it holds more than 200 files and folders, the limit of TRACESITE_MAX_FILES")
    deep = pack_tar(RECORDING | {"d/" * 20 + "x": b""})
    yield refused("deep.tar", deep, "folders deep, the limit of TRACESITE_MAX_FOLDER_DEPTH")
    long = pack_tar(RECORDING | {"n/" * 600 + "n": b""})
    yield refused("long.tar", long, "is longer than 1,024 bytes, the limit of TRACESITE_MAX_PATH_BYTES")
    yield refused("quine.zip", quine(), "it holds another archive, r/r.zip: unpack that one yourself")
    yield refused("overlap.zip", overlapping(), "zip")


def quine() -> bytes:
    """An archive in which an archive of its own name lies, and so on: nothing here opens more than the first."""
    inner = b"PK\x03\x04"
    for _ in range(5):
        inner = pack_zip({"r/r.zip": inner})
    return inner


def overlapping() -> bytes:
    """A zip whose many entries all point to the same large member."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(3_000_000))
        first = archive.filelist[0]
        for number in range(50):
            copy = zipfile.ZipInfo(f"a{number}")
            for field in ("CRC", "compress_size", "file_size", "header_offset", "compress_type", "flag_bits"):
                setattr(copy, field, getattr(first, field))
            archive.filelist.append(copy)
        archive._didModify = True  # type: ignore[attr-defined]
    return out.getvalue()


# --- what the files say -----------------------------------------------------------------------------------------------


def packed(**changes: bytes | None) -> bytes:
    """The recording with other files, or without some; a name is a path with `__` for each slash and `_` for dots."""
    names = {path.replace("/", "__").replace(".", "_"): path for path in RECORDING}
    files = RECORDING | {names[name]: data for name, data in changes.items() if data is not None}
    return pack_zip({path: data for path, data in files.items() if changes.get(as_keyword(path), b"") is not None})


def as_keyword(path: str) -> str:
    return path.replace("/", "__").replace(".", "_")


def manifests() -> Iterator[Case]:
    good = RECORDING["manifest.json"]
    future = good.replace(b'"schema_version": 2', b'"schema_version": 3')
    assert future != good
    yield refused("future.zip", packed(manifest_json=future), "schema 3 is not known; this reducer knows 1 and 2")
    wrong = {
        "broken": good[:40],
        "list": b"[]",
        "nan": good.replace(b'"schema_version": 2', b'"schema_version": NaN'),
        "twice": good.replace(b"{", b'{"trace_id": "x",', 1),
        "latin1": good.replace(b"trace.jsonl", b"trac\xe9.jsonl"),
        "surrogate": good.replace(b"trace.jsonl", b"\\ud800"),
        "nested": b"[" * 100_000,
        "two-values": good + good,
    }
    for name, data in wrong.items():
        yield refused(f"manifest-{name}.zip", packed(manifest_json=data), "manifest.json: it is not a manifest: ")
    large = packed(manifest_json=good + b" " * 1_000_001)
    yield refused("manifest-large.zip", large, "more than 1,000,000, the limit of TRACESITE_MAX_MANIFEST_BYTES")


def log(*lines: bytes) -> bytes:
    return packed(trace_jsonl=b"".join(lines))


def at_line(number: int, line: bytes) -> bytes:
    """The recording with another line in this place."""
    return log(*LINES[: number - 1], line, *LINES[number:])


def logs() -> Iterator[Case]:
    whole = len(LINES)
    no_event = "line 12: this line is not an event: "
    yield Case("torn.zip", log(*LINES[:14], LINES[14][:70]), "read", "Its last line is cut off after 70 bytes", 14)
    yield Case("ended-torn.zip", log(*LINES[:11], LINES[11][:70] + b"\n"), "stopped", no_event, 12)
    wrong = {
        "garbage": random.Random(2).randbytes(300).replace(b"\n", b"") + b"\n",
        "latin1": LINES[11].replace(b"{", b'{"x":"caf\xe9",', 1),
        "nan": LINES[11].replace(b'"seq":12', b'"seq":NaN'),
        "surrogate": LINES[11].replace(b'"rollout_id":"', b'"rollout_id":"\\ud800'),
        "twice": LINES[11].replace(b'"seq":12', b'"seq":12,"seq":12'),
        "control": LINES[11].replace(b'"rollout_id":"', b'"rollout_id":"\x07'),
        "nested": b'{"x":' + b"[" * 90_000 + b"]" * 90_000 + b"}\n",
        "number": LINES[11].replace(b'"seq":12', b'"seq":' + b"9" * 5000),
        "nul": b"\0\n",
    }
    for name, line in wrong.items():
        yield Case(f"line-{name}.zip", at_line(12, line), "stopped", no_event, whole)
    unknown = LINES[11].replace(b"history_item_accepted", b"history_item_dreamt")
    yield Case(
        "unknown.zip", at_line(12, unknown), "stopped", "its type 'history_item_dreamt' is not known here", whole
    )
    future = LINES[11].replace(b'"schema_version":2', b'"schema_version":3')
    yield Case("line-future.zip", at_line(12, future), "stopped", "of schema 3, the recording of 2", whole)
    yield Case("gap.zip", log(*LINES[:11], *LINES[12:]), "stopped", "expected seq 12", whole - 1)
    yield refused(
        "line-long.zip",
        at_line(12, b"x" * 200_001),
        "line 12 of trace.jsonl is longer than 200,000 bytes, the limit of",
    )
    yield Case("empty-log.zip", log(), "read", "A new rollout with 0 events", 0)


def payloads() -> Iterator[Case]:
    good = RECORDING[RESPONSE]
    wrong = {
        "missing": (None, "payloads/9.json is missing"),
        "empty": (b"", "cannot be read: no JSON"),
        "broken": (good[:50], "cannot be read: no JSON"),
        "nan": (good.replace(b"{", b'{"x":NaN,', 1), "cannot be read: no JSON"),
        "latin1": (good.replace(b"{", b'{"x":"\xe9",', 1), "cannot be read: no JSON"),
        "surrogate": (good.replace(b"{", b'{"x":"\\udfff",', 1), "cannot be read: no JSON"),
        "control": (good.replace(b"{", b'{"x":"\x1b[31m",', 1), "cannot be read: no JSON"),
        "nested": (b"[" * 128 + b"]" * 128, "nested deeper than 127 levels"),
        "abyss": (b"[" * 400_000 + b"]" * 400_000, "cannot be read: "),
        "too-huge": (good + b" " * 1_000_000, "more than 1,000,000, the limit of TRACESITE_MAX_PAYLOAD_BYTES"),
    }
    for name, (data, sentence) in wrong.items():
        # The blank makes each a recording of its own: a payload that is too large is as good as none.
        blank = LINES[0].replace(b"\n", b" " * len(name) + b"\n")
        changed = packed(payloads__9_json=data, trace_jsonl=b"".join([blank, *LINES[1:]]))
        yield Case(f"payload-{name}.zip", changed, "stopped", sentence, len(LINES))
    request = RECORDING["payloads/8.json"]
    for name, depth in {"nested": 130, "abyss": 5000}.items():
        # Where the request before ends: what is new in this one is read on its own.
        end = request.rindex(b"]", 0, request.rindex(b'"tools"'))
        data = request[:end] + b"," + b"[" * depth + b"]" * depth + request[end:]
        yield Case(
            f"request-{name}.zip", packed(payloads__8_json=data), "stopped", "nested deeper than 127", len(LINES)
        )
    twice = good.replace(b"{", b'{"token_usage": null,', 1)
    yield Case("payload-twice.zip", packed(payloads__9_json=twice), "read", "A new rollout with 23 events", len(LINES))
    for name, path in {"up": b"../../../etc/passwd", "root": b"/etc/passwd", "log": b"payloads/../../x"}.items():
        line = LINES[15].replace(b"payloads/9.json", path)
        said = "is absolute" if name == "root" else "leaves the bundle"
        yield Case(f"path-{name}.zip", at_line(16, line), "stopped", said, len(LINES))


def texts() -> Iterator[Case]:
    foreign = pack_zip(below("Ελληνικά-日本語-עברית-🦊", RECORDING))
    yield Case("ελληνικά 日本語 עברית.zip", foreign, "read", "A new rollout with 23 events", len(LINES))
    tar = gzip.compress(pack_tar(below("записи", RECORDING)))
    yield Case("записи.tar.gz", tar, "read", "A new rollout with 23 events", len(LINES))
    line = LINES[10].replace(b'"error":"', b'"error":"\\u0000\\u001b[31m\\u202e<script>alert(1)</script>')
    assert line != LINES[10]
    yield Case("controls.zip", at_line(11, line), "read", "A new rollout with 23 events", len(LINES))


# --- how odd archives are made ----------------------------------------------------------------------------------------


def zip_with(member: str | zipfile.ZipInfo, data: bytes = b"x") -> bytes:
    """The recording and one more member."""
    out = io.BytesIO(pack_zip(RECORDING))
    with zipfile.ZipFile(out, "a") as archive:
        archive.NameToInfo.clear()  # or it would warn of names that are there already
        archive.writestr(member, data)
    return out.getvalue()


def tar_with(member: tarfile.TarInfo) -> bytes:
    """The recording and one more member."""
    out = io.BytesIO(pack_tar(RECORDING))
    with tarfile.open(fileobj=out, mode="a") as archive:
        archive.addfile(member)
    return out.getvalue()


CASES: dict[str, Case] = {case.name: case for case in cases()}
