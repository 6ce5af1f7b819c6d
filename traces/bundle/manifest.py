"""The bytes of `manifest.json` flow in, what they say of the recording flows out."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec

from traces.bundle.errors import BundleError, wrong_json
from traces.bundle.limits import REFERENCE_DEPTH

MANIFEST_NAME = "manifest.json"
LOG_NAME = "trace.jsonl"
PAYLOADS_NAME = "payloads"


class Manifest(msgspec.Struct, frozen=True):
    """Who was recorded and when; fields in the order in which the client writes them."""

    schema_version: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    trace_id: str
    rollout_id: str
    root_thread_id: str
    started_at_unix_ms: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    # The client writes these two and never reads them: the log is always trace.jsonl, payloads lie where events say.
    raw_event_log: str
    payloads_dir: str


def read_manifest(data: bytes) -> Manifest:
    """Accepts what the client accepts: unknown fields are ignored, a missing, wrong or repeated one is an error."""
    try:
        # Strict UTF-8 first: msgspec does not look into the fields that it skips, the client does.
        manifest = msgspec.json.decode(data.decode(), type=Manifest)
        repeated = _repeated_field(data)
    except RecursionError as error:
        what = f"it is not a manifest: it nests deeper than {REFERENCE_DEPTH} levels"
        raise BundleError(what, where=MANIFEST_NAME) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise BundleError(f"it is not a manifest: {wrong_json(error)}", where=MANIFEST_NAME) from error
    if repeated:
        raise BundleError(f"it is not a manifest: field `{repeated}` is there twice", where=MANIFEST_NAME)
    return manifest


def _repeated_field(data: bytes) -> str | None:
    pairs: list[tuple[str, object]] = json.loads(data, object_pairs_hook=list)
    names = [name for name, _ in pairs if name in Manifest.__struct_fields__]
    return next((name for name in names if names.count(name) > 1), None)


def write_manifest(manifest: Manifest) -> bytes:
    """The very bytes that the client writes for it."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2)
