"""A rollout flows in, the files of its bundle flow out, byte for byte as they were recorded."""

from collections.abc import Iterator

from traces.bundle.manifest import LOG_NAME, MANIFEST_NAME
from traces.models import LogBlock, Payload, Rollout

Content = bytes | Iterator[bytes]


def bundle_files(rollout: Rollout) -> Iterator[tuple[str, Content]]:
    """Path and content of manifest.json, trace.jsonl and every payload; the log comes piece by piece."""
    yield MANIFEST_NAME, bytes(rollout.manifest_body)
    yield LOG_NAME, _log(rollout)
    paths: set[str] = set()
    for row in Payload.objects.filter(rollout=rollout).kept().order_by("pk").iterator(chunk_size=500):
        if row.path not in paths:
            paths.add(row.path)
            yield row.path, row.bytes()


def _log(rollout: Rollout) -> Iterator[bytes]:
    for block in LogBlock.objects.filter(rollout=rollout).order_by("start").iterator(chunk_size=1):
        yield block.bytes()
    yield bytes(rollout.rest)
    yield bytes(rollout.tail)
