"""Objects of every kind flow in, the facts their pages list flow out."""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from traces.models import Node, Rollout
from traces.pages.items import item_href


@dataclass(frozen=True)
class Fact:
    """One line: a label and what is known, with a link where there is more."""

    label: str
    value: str
    href: str = ""
    mono: bool = False
    dim: bool = False
    gap: bool = False
    ms: int | None = None


@dataclass(frozen=True)
class Ref:
    """A link to another object."""

    label: str
    href: str
    status: str = ""
    note: str = ""
    object_id: str = ""


def event_fact(rollout: Rollout, label: str, unix_ms: int | None, seq: int | None) -> Fact:
    """A moment, with the event that shows it."""
    if unix_ms is None or seq is None:
        return Fact(label, "not recorded", dim=True)
    since = unix_ms - int(rollout.started_at.timestamp() * 1000)
    return Fact(label, f"+{since / 1000:,.3f} s · event {seq}", reverse("event", args=[rollout.public_id, seq]))


def slug_ref(rollout: Rollout, label: str, slug: str, object_id: str | None) -> Ref | None:
    """A link to an object by its id, where one is named."""
    if not object_id:
        return None
    return Ref(label, reverse("object", args=[rollout.public_id, slug, object_id]), note=object_id)


def payload_key(raw_payload_id: str) -> str:
    """raw_payload:45 as 45; other ids stay whole."""
    prefix, _, number = raw_payload_id.partition(":")
    return number if prefix == "raw_payload" and number.isdigit() else raw_payload_id


def payload_ref(rollout: Rollout, label: str, raw_payload_id: str | None) -> Ref | None:
    """A link to a payload, where there is one."""
    if not raw_payload_id:
        return None
    key = payload_key(raw_payload_id)
    href = reverse("payload", args=[rollout.public_id, key])
    return Ref(label, href, note=f"payload {key}", object_id=raw_payload_id)


def payload_refs(rollout: Rollout, data: dict[str, Any]) -> list[Ref]:
    """Every payload an object names, by what the object calls it."""
    named = [
        (label_of(name), value)
        for name, value in data.items()
        if name.startswith("raw_") and name.endswith("payload_id") and isinstance(value, str)
    ]
    for name in ("raw_runtime_payload_ids", "raw_payload_ids"):
        named += [(label_of(name), value) for value in data.get(name, ())]
    named.sort(key=lambda one: (len(one[1]), one[1]))  # as they were written
    refs = [payload_ref(rollout, label, value) for label, value in named]
    return [ref for ref in refs if ref]


def label_of(name: str) -> str:
    """raw_invocation_payload_id as Invocation."""
    words = name.removeprefix("raw_").removesuffix("_ids").removesuffix("_id").removesuffix("payload").replace("_", " ")
    return words.strip().capitalize() or "Payload"


def item_refs(rollout: Rollout, label: str, item_ids: list[str]) -> list[Ref]:
    """Links to conversation items."""
    numbers = {item_id: item_id.removeprefix("conversation_item:") for item_id in item_ids}
    return [Ref(label, item_href(rollout, item_id), note=number) for item_id, number in numbers.items()]


def usage_facts(call: Node) -> list[Fact]:
    """Tokens as the provider counted them; without usage everything is unknown, never 0."""
    usage = call.data.get("usage")
    names = {
        "input_tokens": "In",
        "cached_input_tokens": "Cached",
        "cache_write_input_tokens": "Cache write",
        "output_tokens": "Out",
        "reasoning_output_tokens": "Reasoning",
    }
    return [
        Fact(label, f"{usage[name]:,}" if usage and usage.get(name) is not None else "unknown", dim=not usage)
        for name, label in names.items()
    ]
