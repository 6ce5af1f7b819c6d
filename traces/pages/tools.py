"""A tool call's invocation and outputs flow in; its arguments to read, and what the model was not shown, flow out."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec

MARKER = 300  # characters: what stands in for a cut is shorter than this
LEAST = 0.5  # of what the model saw must be the output's own beginning and end


@dataclass(frozen=True)
class CutOff:
    """What of an output did not go back to the model, and what went back in its place."""

    text: str
    instead: str


def arguments(invocation: bytes) -> str:
    """What the model asked for: JSON indented, anything else as it was written."""
    try:
        payload = msgspec.json.decode(invocation).get("payload")
    except (msgspec.DecodeError, AttributeError, UnicodeDecodeError, RecursionError):
        return ""
    if not isinstance(payload, dict):
        return ""
    asked = next((payload[name] for name in ("arguments", "input") if payload.get(name) is not None), None)
    return "" if asked is None else _readable(asked)


def _readable(asked: Any) -> str:
    """A string that holds JSON is opened once: that is how models write arguments."""
    try:
        value = json.loads(asked) if isinstance(asked, str) else asked
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) else str(asked)
    except (ValueError, RecursionError):
        return str(asked)


def is_patch(text: str) -> bool:
    """Whether it is shown as a difference."""
    return text.lstrip().startswith("*** Begin Patch")


def cut_off(printed: str, said: str) -> CutOff | None:
    """What stands in the output between the beginning and the end that the model saw."""
    before = _common(printed, said)
    after = _common(printed[before:][::-1], said[before:][::-1])
    missing, instead = printed[before : len(printed) - after], said[before : len(said) - after]
    if not missing or len(instead) > MARKER or len(instead) >= len(missing) or before + after < len(said) * LEAST:
        return None
    return CutOff(missing, instead.strip() or "nothing")


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def returned(printed: str | None, said: str, lost: CutOff | None) -> str:
    """In a sentence, how much of what was printed went back."""
    if printed is None:
        return ""
    if lost:
        return f"{len(lost.text):,} of {len(printed):,} printed characters did not go back."
    if printed.strip() == said.strip():
        return "The whole output went back."
    return "What went back is not the printed output word for word."
