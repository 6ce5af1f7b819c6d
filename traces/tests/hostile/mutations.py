"""Good bytes and good JSON flow in with a random generator, slightly or badly broken ones flow out."""

import copy
import json
from random import Random
from typing import Any

TOKENS = (
    *rb"""NaN -0 1e999 " \ { [ ] } , null true \ud800 \u0000 ../ / 999999999999999999999999999999""".split(),
    *(b"\0", b"\xff", b"\xed\xa0\x80", b"\r\n", b"\n", b"\x1b[31m", b"PK\x01\x02", b"[" * 2000),
)
NUMBERS = (0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 1e308, 0.1)
TEXTS = ("", "x", "\0", "\u202e", "../../x", "/etc/passwd", "payloads/1.json", "raw_payload:1", "completed", "<script>")
LISTS: tuple[Any, ...] = ([], {}, [[]], {"type": "message"}, {"type": "other"}, [None])
VALUES: tuple[Any, ...] = (None, True, False, *NUMBERS, *TEXTS, *LISTS, "é" * 300, "x" * 5000)


def mutate_bytes(data: bytes, chance: Random) -> bytes:
    """A few changes anywhere."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        _change(changed, chance)
    return bytes(changed)


def _change(data: bytearray, chance: Random) -> None:
    at = chance.randrange(len(data) + 1)
    until = min(len(data), at + chance.choice((1, 2, 8, 64, 512)))
    match chance.randrange(5):
        case 0:
            data[at:until] = chance.randbytes(until - at)
        case 1:
            del data[at:until]
        case 2:
            data[at:at] = chance.choice(TOKENS)
        case 3:
            data[at:until] = chance.choice(TOKENS)
        case _:
            source = chance.randrange(len(data) + 1)
            data[at:at] = data[source : source + 200]


def mutate_json(data: bytes, chance: Random) -> bytes:
    """Another value somewhere in the document, which stays JSON; what is no JSON is changed as bytes."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(data, chance)
    for _ in range(chance.choice((1, 1, 2, 5))):
        document = _other(document, chance)
    return json.dumps(document, separators=(",", ":"), ensure_ascii=chance.random() < 0.1).encode(errors="replace")


def _other(value: Any, chance: Random) -> Any:
    """The value with a change somewhere inside, or another value."""
    if not value or not isinstance(value, dict | list) or chance.random() < 0.1:
        return copy.deepcopy(chance.choice(VALUES))
    place = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
    match chance.randrange(12):
        case 0:
            del value[place]
        case 1:
            _double(value, place, chance)
        case 2:
            other = chance.choice(list(value) if isinstance(value, dict) else range(len(value)))
            value[place], value[other] = value[other], value[place]
        case _:
            value[place] = _other(value[place], chance)
    return value


def _double(value: Any, place: Any, chance: Random) -> None:
    if isinstance(value, dict):
        value[f"{place}{chance.choice(('', '_', 'x'))}"] = copy.deepcopy(value[place])
    else:
        value.insert(chance.randrange(len(value) + 1), copy.deepcopy(value[place]))


def mutate_lines(log: bytes, chance: Random) -> bytes:
    """A log with lines changed, left out, doubled or in another order; their numbers put right again, mostly."""
    lines = log.splitlines()
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        at = chance.randrange(len(lines))
        match chance.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(chance.randrange(len(lines)), lines[at])
            case 2:
                other = chance.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] = mutate_bytes(lines[at], chance)
            case _:
                lines[at] = mutate_json(lines[at], chance)
    if chance.random() < 0.8:
        lines = [_numbered(line, number) for number, line in enumerate(lines, 1)]
    return b"\n".join(lines) + (b"\n" if chance.random() < 0.9 else b"")


def _numbered(line: bytes, number: int) -> bytes:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(event, dict):
        return line
    event["seq"] = number
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
