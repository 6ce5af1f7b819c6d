"""Random sessions and damaged recordings flow in; that all ways through the reducer agree flows out."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from traces.bundle.reader import Bundle
from traces.reducer import SECTIONS, Changes, Reducer, Stopped, reduce_lenient, reduce_strict
from traces.reducer.items import ItemIds, MatchKey, Snapshot
from traces.reducer.replay import events, new_reducer
from traces.tests.fixtures.recordings import recording_folder
from traces.tests.reducer.builder import Session
from traces.tests.reducer.sessions import STEPS, Player, Steps

RECORDINGS = [
    "0.125.0/code_yield_turns",
    "0.128.0/agents",
    "0.128.0/cancelled_late",
    "0.135.0/mcp_parallel",
    "0.152.0/ws_compact",
    "0.152.0/agents_namespaced",
    "0.160.0/old_collab2",
    "0.164.0/bg_terminal",
    "0.164.0/ws_code",
    "0.166.0/compact_interrupt",
    "0.166.0/view_image",
    "0.169.0/child_fails",
    "0.169.0/code_interrupt",
    "0.169.0/compacted_inline",
    "0.169.0/agents_namespaced",
]
ORDINARY = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
SCHEMAS = pytest.mark.parametrize("schema", [1, 2])


# --- one request after another ----------------------------------------------------------------------------------------


class Spelling:
    """Writes each body in another way, so that no request begins with the bytes of the one before."""

    def __init__(self) -> None:
        self.bodies = 0

    def __call__(self, value: Any) -> bytes:
        self.bodies += 1
        spaces = b" " * self.bodies
        text = json.dumps(value, indent=self.bodies % 4, separators=(" ,", ":  "), ensure_ascii=self.bodies % 2 == 0)
        return spaces + text.encode() + spaces


class TailFirst(Spelling):
    """Writes the same bytes again, but what stands around the items changes from request to request."""

    def __call__(self, value: Any) -> bytes:
        self.bodies += 1
        if "input" in value:
            value = {"input": value["input"], **value, "number": self.bodies % 3, "like": {"input": [1, {"a": "]}"}]}}
        return json.dumps(value, ensure_ascii=False).encode()


def played(schema: int, steps: Steps, encode: Spelling | None = None) -> tuple[str, bytes]:
    session = Session(schema)
    session.encode = encode or session.encode
    refusal = Player(session).play(steps)
    session.reducer.finish()
    return refusal, b"" if refusal else session.reducer.state()


@SCHEMAS
@given(steps=STEPS)
@ORDINARY
def test_reading_only_what_is_new_equals_reading_every_request_whole(schema: int, steps: Steps) -> None:
    assert played(schema, steps) == played(schema, steps, Spelling())


@SCHEMAS
@given(steps=STEPS)
@ORDINARY
def test_what_stands_around_the_items_changes_nothing(schema: int, steps: Steps) -> None:
    assert played(schema, steps) == played(schema, steps, TailFirst())


# --- what an event touches --------------------------------------------------------------------------------------------

Objects = dict[tuple[str, str], dict[str, Any]]


def objects(reducer: Reducer) -> Objects:
    """Every object as it is now."""
    return {
        (section, object_id): reducer.object(section, object_id)
        for section in SECTIONS
        for object_id in getattr(reducer.graph, section)
    }


def different(before: Objects, after: Objects) -> set[tuple[str, str]]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def named(changes: Changes) -> set[tuple[str, str]]:
    return {(section, object_id) for section, ids in changes.touched.items() for object_id in ids}


@pytest.mark.parametrize("name", RECORDINGS)
def test_an_event_touches_every_object_it_changes(name: str) -> None:
    bundle = Bundle(recording_folder(name))
    reducer = new_reducer(bundle)
    before = objects(reducer)
    for event, line in events(bundle):
        touched = named(reducer.apply(event, line))
        after = objects(reducer)
        assert different(before, after) <= touched, f"line {line}, {event.type}"
        before = after
    assert different(before, objects(reducer)) <= named(reducer.finish())


class Watched(Session):
    """A session that looks at every object after every event."""

    before: Objects = {}

    def event(self, event_type: str, /, **fields: Any) -> Changes:
        changes = super().event(event_type, **fields)
        after = objects(self.reducer)
        assert different(self.before, after) <= named(changes), event_type
        self.before = after
        return changes


@SCHEMAS
@given(steps=STEPS)
@settings(ORDINARY, max_examples=60)
def test_an_odd_session_touches_every_object_it_changes(schema: int, steps: Steps) -> None:
    Player(Watched(schema)).play(steps)


# --- logs that end early ----------------------------------------------------------------------------------------------

DAMAGE = [b"", b'{"schema_version":2,"seq"', b"null\n", b"[]\n", b"{}\n", b"\x00\n", b'{"payload":{"type":"new"}}\n']


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each recording whose log may be changed; the payloads are the recording's own files."""
    folders = {name: tmp_path_factory.mktemp("copy") for name in RECORDINGS}
    for name, folder in folders.items():
        for path in sorted(recording_folder(name).glob("payloads/*")):
            target = folder / path.relative_to(recording_folder(name))
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
        (folder / "manifest.json").write_bytes((recording_folder(name) / "manifest.json").read_bytes())
    return folders


def with_log(folder: Path, lines: list[bytes]) -> Bundle:
    (folder / "trace.jsonl").write_bytes(b"".join(lines))
    return Bundle(folder)


def recorded_lines(name: str) -> list[bytes]:
    return (recording_folder(name) / "trace.jsonl").read_bytes().splitlines(keepends=True)


@given(name=st.sampled_from(RECORDINGS), share=st.floats(0, 1), damage=st.sampled_from(DAMAGE))
@settings(ORDINARY, max_examples=100)
def test_everything_before_the_damage_is_kept(copies: dict[str, Path], name: str, share: float, damage: bytes) -> None:
    """A log that only ends early is not damaged at all; what follows the damage changes nothing."""
    lines = recorded_lines(name)
    cut = round(share * (len(lines) - 1))
    strict = reduce_strict(with_log(copies[name], lines[:cut]))
    rest = [damage, *lines[cut + 1 :]] if damage.endswith(b"\n") else [damage]
    lenient, stopped = reduce_lenient(with_log(copies[name], lines[:cut] + rest))
    assert (lenient.state(), lenient.evidence) == (strict.state(), strict.evidence)
    assert (stopped is not None) is bool(damage)
    assert stopped is None or (stopped.seq, stopped.line) == (None, cut + 1)


@given(name=st.sampled_from(RECORDINGS), share=st.floats(0, 1))
@settings(ORDINARY, max_examples=40)
def test_an_event_that_does_not_apply_is_named(copies: dict[str, Path], name: str, share: float) -> None:
    lines = recorded_lines(name)
    cut = round(share * (len(lines) - 1))
    event = json.loads(lines[cut])
    ended = {"type": "codex_turn_ended", "codex_turn_id": "nobody", "status": "completed"}
    wrong = json.dumps({**event, "payload": ended}).encode() + b"\n"
    strict = reduce_strict(with_log(copies[name], lines[:cut]))
    lenient, stopped = reduce_lenient(with_log(copies[name], [*lines[:cut], wrong, *lines[cut + 1 :]]))
    assert stopped == Stopped("the end of turn nobody, which did not start", event["seq"], cut + 1)
    assert lenient.state() == strict.state()


# --- what a thread last showed ----------------------------------------------------------------------------------------

IDS = [f"i{number}" for number in range(6)]
KEYS: dict[str, MatchKey] = {item_id: (number % 3,) for number, item_id in enumerate(IDS)}
RESPONSES_IDS = {"i0": "x", "i3": "y", "i1": "x"}
CHANGE = st.tuples(st.integers(0, 8), st.lists(st.sampled_from(IDS), max_size=6))


def fits(item_id: str, key: MatchKey, responses_id: str | None) -> bool:
    known = RESPONSES_IDS.get(item_id)
    return KEYS[item_id] == key and (known is None or responses_id is None or known == responses_id)


def found_by_looking(ids: list[str], key: MatchKey, responses_id: str | None, kept: int, used: set[str]) -> str | None:
    """The first such item that is new after the first `kept` ids and not used."""
    candidates = (item_id for item_id in ids if ids.index(item_id) >= kept and item_id not in used)
    return next((item_id for item_id in candidates if fits(item_id, key, responses_id)), None)


@given(
    changes=st.lists(CHANGE, max_size=8),
    key=st.sampled_from(sorted(set(KEYS.values()))),
    responses_id=st.sampled_from([None, "x", "y", "z"]),
    kept=st.integers(0, 8),
    used=st.sets(st.sampled_from(IDS), max_size=3),
)
@settings(ORDINARY, max_examples=400)
def test_a_snapshot_is_a_list_that_finds_faster(
    changes: list[tuple[int, list[str]]], key: MatchKey, responses_id: str | None, kept: int, used: set[str]
) -> None:
    snapshot, ids = Snapshot(KEYS, RESPONSES_IDS), list[str]()
    views: list[tuple[ItemIds, list[str]]] = []
    for wanted, new in changes:
        length = min(wanted, len(ids))
        ids = ids[:length] + new
        views.append((snapshot.become(length, new), ids))
        assert snapshot.ids == ids
        assert snapshot.first == {item_id: ids.index(item_id) for item_id in ids}
        assert snapshot.find(key, responses_id, kept, used) == found_by_looking(ids, key, responses_id, kept, used)
        at = ids[kept] if kept < len(ids) and fits(ids[kept], key, responses_id) else None
        assert snapshot.at(kept, key, responses_id) == at
    assert all(list(view) == view.to_list() == then and len(view) == len(then) for view, then in views)
