"""A recording and a seed flow in, the recording with one thing wrong flows out: the same thing for the same seed."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Self

Event = dict[str, Any]
Place = tuple[Any, str | int]  # something of JSON and the key, or index, of one thing in it

ODD: list[Any] = [None, 5, -1, 1.0, True, "", "x", [], {}, ["x"], {"type": "x"}, "completed", 2**63]
STATUSES = ["running", "completed", "failed", "cancelled", "aborted", "yielded", "terminated", "unheard of"]
ARGUMENTS = ["", "{", "NaN", "[1.50, 1E5, -0, 1e-7]", '{"b":1,"a":2,"b":3}', '"\\ud800"', "5", '"' + "é😀" * 60 + '"']
BODIES = [
    b"",
    b"{",
    b"null",
    b"5",
    b"[]",
    b"{}",
    b'"\\ud800"',
    b"\xef\xbb\xbf{}",
    b'{"a":NaN}',
    b"[" * 130 + b"]" * 130,
]
LINES = [b"null\n", b"[]\n", b"{}\n", b"{\n", b" \n", b"\xff\n", b"\x00\n", b'{"seq":1,"seq":1}\n']
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}


@dataclass
class Recording:
    """A bundle in memory."""

    manifest: bytes
    events: list[Event | bytes]
    payloads: dict[str, bytes | None]

    @classmethod
    def read(cls, folder: Path) -> Self:
        events: list[Event | bytes] = [json.loads(line) for line in (folder / "trace.jsonl").open("rb")]
        payloads: dict[str, bytes | None] = {
            f"payloads/{path.name}": path.read_bytes() for path in sorted((folder / "payloads").iterdir())
        }
        return cls((folder / "manifest.json").read_bytes(), events, payloads)

    def write(self, folder: Path) -> Path:
        (folder / "payloads").mkdir(parents=True)
        (folder / "manifest.json").write_bytes(self.manifest)
        (folder / "trace.jsonl").write_bytes(b"".join(map(line_of, self.events)))
        for path, body in self.payloads.items():
            if body is not None:
                (folder / path).write_bytes(body)
        return folder

    def renumber(self) -> None:
        """Schema 2 wants every event in its place; so that more than that is tried, they get new numbers."""
        for seq, event in enumerate(self.events, 1):
            if isinstance(event, dict):
                event["seq"] = seq


def line_of(event: Event | bytes) -> bytes:
    return event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode() + b"\n"


def mutated(recording: Recording, name: str, seed: str) -> Recording:
    """A copy with one thing wrong."""
    found = Recording(recording.manifest, copy.deepcopy(recording.events), dict(recording.payloads))
    MUTATIONS[name](found, Random(f"{name} {seed}"))
    return found


# --- whole events -----------------------------------------------------------------------------------------------------


def drop(recording: Recording, random: Random) -> None:
    del recording.events[random.randrange(len(recording.events))]
    recording.renumber()


def repeat(recording: Recording, random: Random) -> None:
    place = random.randrange(len(recording.events))
    recording.events.insert(random.randrange(place, len(recording.events)) + 1, dict(event_at(recording, place)))
    recording.renumber()


def swap(recording: Recording, random: Random) -> None:
    place = random.randrange(len(recording.events) - 1)
    recording.events[place : place + 2] = reversed(recording.events[place : place + 2])
    recording.renumber()


def move(recording: Recording, random: Random) -> None:
    event = recording.events.pop(random.randrange(len(recording.events)))
    recording.events.insert(random.randrange(len(recording.events)), event)
    recording.renumber()


def lose_number(recording: Recording, random: Random) -> None:
    event_at(recording, random.randrange(len(recording.events)))["seq"] = random.choice([0, 1, 10**6, 2**64])


def tear(recording: Recording, random: Random) -> None:
    place = random.randrange(len(recording.events))
    line = line_of(recording.events[place])
    recording.events[place:] = [line[: random.randrange(len(line))]]


def insert_line(recording: Recording, random: Random) -> None:
    recording.events.insert(random.randrange(len(recording.events)), random.choice(LINES))


def event_at(recording: Recording, place: int) -> Event:
    event = recording.events[place]
    assert isinstance(event, dict)
    return event


# --- fields of events -------------------------------------------------------------------------------------------------


def change_field(recording: Recording, random: Random) -> None:
    """Fields are null, absent or of another type."""
    event = event_at(recording, random.randrange(len(recording.events)))
    change(random.choice(places(event["payload"])), random)


def change_envelope(recording: Recording, random: Random) -> None:
    event = event_at(recording, random.randrange(len(recording.events)))
    others = [event_at(recording, place) for place in range(len(recording.events))]
    field = random.choice(["thread_id", "codex_turn_id", "rollout_id", "wall_time_unix_ms", "schema_version"])
    event[field] = random.choice([None, "nobody", 5, *(other[field] for other in others)])


def change_status(recording: Recording, random: Random) -> None:
    with_status = [event for event in recording.events if isinstance(event, dict) and "status" in event["payload"]]
    random.choice(with_status)["payload"]["status"] = random.choice(STATUSES)


def end_again(recording: Recording, random: Random) -> None:
    """A call ends once more, some time after it started."""
    events = [event_at(recording, place) for place in range(len(recording.events))]
    starts = [place for place, event in enumerate(events) if event["payload"]["type"] == "inference_started"]
    place = random.choice(starts)
    call_id = events[place]["payload"]["inference_call_id"]
    bodies = [event["payload"]["response_payload"] for event in events if "response_payload" in event["payload"]]
    body = random.choice([None, *bodies])
    ended = {"inference_call_id": call_id, "upstream_request_id": "again", "partial_response_payload": body}
    kinds = {"inference_failed": {"error": "again"}, "inference_cancelled": {"reason": "again"}}
    kind = random.choice(list(kinds))
    again = {**events[place], "payload": {"type": kind, **ended, **kinds[kind]}}
    recording.events.insert(random.randrange(place + 1, len(events)), again)
    recording.renumber()


# --- payloads ---------------------------------------------------------------------------------------------------------


def damage_payload(recording: Recording, random: Random) -> None:
    recording.payloads[random.choice(list(recording.payloads))] = random.choice([None, *BODIES])


def change_payload(recording: Recording, random: Random) -> None:
    """Anything in a body is null, absent or of another type."""
    edit(recording, random, lambda body: change(random.choice(places(body)), random))


def change_item(recording: Recording, random: Random) -> None:
    """Anything in an item is null, absent or of another type."""
    edit_items(recording, random, lambda items: change(random.choice(places(random.choice(items))), random))


def reuse_call_id(recording: Recording, random: Random) -> None:
    def reuse(items: list[Any]) -> None:
        calls = [item for item in items if "call_id" in item] or items
        random.choice(calls)["call_id"] = random.choice(calls).get("call_id")

    edit_items(recording, random, reuse)


def change_arguments(recording: Recording, random: Random) -> None:
    def arguments(items: list[Any]) -> None:
        item = random.choice([item for item in items if "arguments" in item] or items)
        item["arguments"] = random.choice(ARGUMENTS)

    edit_items(recording, random, arguments)


def show_image(recording: Recording, random: Random) -> None:
    """The same item shows an image in every request that has it."""
    number = random.randrange(3)
    for path in item_payloads(recording):
        body = json.loads(recording.payloads[path] or b"")
        item = body.get("input", [])[number : number + 1]
        if item and isinstance(item[0].get("content"), list):
            item[0]["content"].append(IMAGE)
            recording.payloads[path] = json.dumps(body).encode()


def shuffle_items(recording: Recording, random: Random) -> None:
    edit_items(recording, random, random.shuffle)


def forget_item(recording: Recording, random: Random) -> None:
    edit_items(recording, random, lambda items: items.pop(random.randrange(len(items))))


def edit(
    recording: Recording, random: Random, change_body: Callable[[Any], Any], paths: list[str] | None = None
) -> None:
    path = random.choice(paths or [path for path, body in recording.payloads.items() if len(body or b"") > 2])
    body = json.loads(recording.payloads[path] or b"")
    change_body(body)
    recording.payloads[path] = json.dumps(body, ensure_ascii=False).encode()


def edit_items(recording: Recording, random: Random, change_items: Callable[[list[Any]], Any]) -> None:
    def items(body: Any) -> None:
        change_items(body.get("input") or body["output_items"])

    edit(recording, random, items, item_payloads(recording))


def item_payloads(recording: Recording) -> list[str]:
    """The paths of requests and responses that hold items."""
    return [path for path, body in recording.payloads.items() if has_items(json.loads(body or b"null"))]


def has_items(body: Any) -> bool:
    return isinstance(body, dict) and bool(body.get("input") or body.get("output_items"))


# --- anything ---------------------------------------------------------------------------------------------------------


def places(value: Any) -> list[Place]:
    """Every place inside a value, at any depth."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *places(value[key]))]


def change(place: Place, random: Random) -> None:
    inside, key = place
    if random.random() < 0.3:
        del inside[key]
    else:
        inside[key] = random.choice(ODD)


MUTATIONS: dict[str, Callable[[Recording, Random], None]] = {
    change_one.__name__: change_one
    for change_one in (
        drop,
        repeat,
        swap,
        move,
        lose_number,
        tear,
        insert_line,
        change_field,
        change_envelope,
        change_status,
        end_again,
        damage_payload,
        change_payload,
        change_item,
        reuse_call_id,
        change_arguments,
        show_image,
        shuffle_items,
        forget_item,
    )
}
