"""Manifests as clients and as accidents write them flow in; what the client accepts is accepted, the rest is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from traces.bundle.errors import BundleError
from traces.bundle.manifest import read_manifest, write_manifest
from traces.tests.fixtures.recordings import BUNDLES

RECORDINGS = sorted(path.parent for path in BUNDLES.glob("*/*/manifest.json"))
GOOD: dict[str, Any] = {
    "schema_version": 2,
    "trace_id": "t",
    "rollout_id": "r",
    "root_thread_id": "r",
    "started_at_unix_ms": 1795371301264,
    "raw_event_log": "trace.jsonl",
    "payloads_dir": "payloads",
}


@pytest.mark.parametrize("folder", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_real_manifests_are_read_and_written_byte_for_byte(folder: Path) -> None:
    data = (folder / "manifest.json").read_bytes()
    assert write_manifest(read_manifest(data)) == data


# Each of these was put before the clients 0.164.0 and 0.169.0, which answered the same.


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": {"a": [1]}},
        {"started_at_unix_ms": -1},
        {"trace_id": ""},
        {"schema_version": 3},
        {"raw_event_log": "elsewhere.jsonl"},
        {"payloads_dir": "elsewhere"},
    ],
)
def test_accepted(change: dict[str, Any]) -> None:
    manifest = read_manifest(json.dumps(GOOD | change).encode() + b" \r\n")
    assert manifest.rollout_id == "r"


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(field: str) -> None:
    data = json.dumps({name: value for name, value in GOOD.items() if name != field}).encode()
    with pytest.raises(BundleError, match=rf"^manifest\.json: .*missing.*`{field}`"):
        read_manifest(data)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema_version", -1),
        ("schema_version", "2"),
        ("schema_version", 2**32),
        ("started_at_unix_ms", 1.0),
        ("started_at_unix_ms", 2**63),
        ("trace_id", None),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    with pytest.raises(BundleError, match=field):
        read_manifest(json.dumps(GOOD | {field: value}).encode())


def test_a_repeated_field_is_named() -> None:
    data = json.dumps(GOOD).encode().replace(b'"trace_id"', b'"trace_id": "a", "trace_id"')
    with pytest.raises(BundleError, match="`trace_id` is there twice"):
        read_manifest(data)


def test_an_unknown_field_may_be_repeated() -> None:
    data = json.dumps(GOOD).encode().replace(b'"trace_id"', b'"q": 1, "q": {"trace_id": 1, "trace_id": 2}, "trace_id"')
    assert read_manifest(data).trace_id == "t"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
        json.dumps(GOOD).encode() + b"x",
        json.dumps(GOOD | {"q": "Q"}).encode().replace(b"Q", b"\xff"),
        b'{"q":' + b"[" * 100_000,
    ],
)
def test_what_is_no_manifest_is_one_sentence(data: bytes) -> None:
    with pytest.raises(BundleError) as caught:
        read_manifest(data)
    assert "\n" not in str(caught.value)
