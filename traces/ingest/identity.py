"""A bundle flows in, the rollout it belongs to flows out: the same recording, a shorter one of it, or a new one."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from traces.bundle.manifest import Manifest
from traces.bundle.reader import Bundle
from traces.ingest.reading import CHAIN_BYTES, Reading, first_link
from traces.models import Rollout
from traces.models.fields import key, moment

OTHER_CONTENT = "There is another rollout with the same trace id, but with other content."

Verdict = Literal["new", "same", "continued", "other_content"]


@dataclass(frozen=True)
class Match:
    """What is known of a recording: `rollout` holds its first `events` events."""

    verdict: Verdict
    rollout: Rollout
    events: int
    others: tuple[Rollout, ...] = ()


def find(bundle: Bundle) -> Match:
    """Finds the rollout that a bundle belongs to, or makes an unsaved one."""
    manifest = bundle.manifest
    known = list(Rollout.objects.of_trace(key(manifest.trace_id)))
    if not known:
        return Match("new", blank(manifest, branch=0), 0)
    links, events = chain_at(bundle, {rollout.events for rollout in known})
    begun = [rollout for rollout in known if links.get(rollout.events) == rollout.fingerprint]
    if begun:
        longest = max(begun, key=lambda rollout: rollout.events)
        return Match("continued" if longest.events < events else "same", longest, longest.events)
    for rollout in known:
        if holds(rollout, events, links[events]):
            return Match("same", rollout, events)
    return Match("other_content", blank(manifest, known[-1].branch + 1), 0, tuple(known))


def chain_at(bundle: Bundle, counts: set[int]) -> tuple[dict[int, str], int]:
    """The chain hash after so many events each, and at the end; no more is read than that takes."""
    reading = Reading(bundle)
    links = {0: reading.chain.hex()}
    furthest = max(counts)
    for _ in reading:
        if reading.events in counts:
            links[reading.events] = reading.chain.hex()
        if reading.events > furthest:
            break
    links[reading.events] = reading.chain.hex()
    return links, reading.events


def holds(rollout: Rollout, events: int, link: str) -> bool:
    """Whether a rollout begins with these events."""
    if events == 0:
        return first_link(msgspec.convert(rollout.manifest, Manifest)).hex() == link
    block = rollout.blocks.filter(before__lt=events).order_by("-before").first()
    if block is None:
        return False
    at = (events - 1 - block.before) * CHAIN_BYTES
    return bytes(block.chains)[at : at + CHAIN_BYTES].hex() == link


def blank(manifest: Manifest, branch: int) -> Rollout:
    """An unsaved rollout in which nothing has happened yet."""
    said: dict[str, Any] = msgspec.to_builtins(manifest)
    return Rollout(
        trace_id=key(manifest.trace_id),
        branch=branch,
        rollout_id=key(manifest.rollout_id),
        root_thread_id=key(manifest.root_thread_id),
        schema_version=manifest.schema_version,
        fingerprint=first_link(manifest).hex(),
        started_at=moment(manifest.started_at_unix_ms),
        manifest=said,
        note=OTHER_CONTENT if branch else "",
    )
