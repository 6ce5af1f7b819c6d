"""The graph while it grows, with what is needed to find things in it again; every kind of object's rules work on this.

Ids sort as text in the reference, so "the first of several" means first by id wherever it does not say otherwise.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from traces.bundle.errors import BundleError
from traces.bundle.events import Event
from traces.bundle.manifest import Manifest
from traces.bundle.shapes import ExecutionStatus, PayloadRef
from traces.reducer.errors import ReductionError
from traces.reducer.evidence import Evidence
from traces.reducer.graph import (
    AgentThread,
    ConversationItem,
    ExecutionWindow,
    Graph,
    InferenceCall,
    Section,
    ToolCall,
)
from traces.reducer.items import MatchKey, Snapshot
from traces.reducer.requests import LastRequest
from traces.reducer.serde import check, decode_payload

ReadPayload = Callable[[PayloadRef], bytes]


class WaitingCell(msgspec.Struct):
    """A code cell that started before the item that asked for it was seen, and what happened to it since."""

    start: Event
    thread_id: str
    later: list[Event]


class WaitingEdge(msgspec.Struct):
    """Something sent to a thread that its conversation has not shown yet."""

    edge_id: str
    kind: str
    source: dict[str, str]
    author: str
    target_thread_id: str
    content: str
    spawned_thread_id: str | None
    started_at_unix_ms: int
    ended_at_unix_ms: int | None
    carried_raw_payload_ids: list[str]


def push_unique(ids: list[str], new: str) -> bool:
    """Appends an id that is not there yet; says whether it did."""
    if new in ids:
        return False
    ids.append(new)
    return True


class Trace:
    """One rollout being reduced."""

    def __init__(self, manifest: Manifest, read_payload: ReadPayload) -> None:
        self.schema = manifest.schema_version
        self.read_payload = read_payload
        self.graph = Graph(
            schema_version=manifest.schema_version,
            trace_id=manifest.trace_id,
            rollout_id=manifest.rollout_id,
            started_at_unix_ms=manifest.started_at_unix_ms,
            ended_at_unix_ms=None,
            status="running",
            recording_complete=False if manifest.schema_version >= 2 else UNSET,
            root_thread_id=manifest.root_thread_id,
        )
        self.values: dict[str, Any] = {}
        self.touched: dict[Section, set[str]] = defaultdict(set)
        self._index_conversation()
        self._index_runtime()

    def _index_conversation(self) -> None:
        self.next_item = 1
        self.match_keys: dict[str, MatchKey] = {}
        self.responses_ids: dict[str, str] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.replacements: dict[str, list[str]] = {}
        self.last_requests: dict[str, LastRequest | None] = {}
        self.latest_calls: dict[str, str] = {}
        self.members: dict[str, set[str]] = defaultdict(set)
        self.items_by_call: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        self.items_by_responses_id: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.accepted: dict[tuple[str, str], tuple[int, int]] = {}
        self.receipts: dict[tuple[str, str], str] = {}
        self.assistant_messages: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.items_of_call: dict[str, list[str]] = defaultdict(list)
        self.look_again: dict[str, set[str]] = defaultdict(set)

    def _index_runtime(self) -> None:
        self.tool_by_call: dict[str, str] = {}
        self.cell_tools: dict[str, list[str]] = defaultdict(list)
        self.calls_by_response: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.calls_by_item: dict[str, set[str]] = defaultdict(set)
        self.evidence: dict[str, Evidence] = {}
        self.running_calls: dict[str, set[str]] = defaultdict(set)
        self.running_cells: dict[str, set[str]] = defaultdict(set)
        self.requests_by_compaction: dict[str, set[str]] = defaultdict(set)
        self.sessions_by_process: dict[tuple[str, str], str] = {}
        self.process_ids: dict[str, str] = {}
        self.cells_by_runtime: dict[tuple[str, str], str] = {}
        self.waiting_cells: dict[str, WaitingCell] = {}
        self.waiting_edges: list[WaitingEdge] = []
        self.edge_targets: set[str] = set()
        self.edges_by_tool: dict[str, set[str]] = defaultdict(set)

    # --- the parts everybody needs ------------------------------------------------------------------------------------

    def touch(self, section: Section, object_id: str) -> None:
        """Notes that an object is new or changed."""
        self.touched[section].add(object_id)

    def body(self, ref: PayloadRef) -> bytes:
        """The bytes of a payload; raises ReductionError where there are none to be had."""
        try:
            return self.read_payload(ref)
        except BundleError as error:
            raise ReductionError(f"payload {ref.raw_payload_id}: {error}") from error

    def payload(self, ref: PayloadRef) -> Any:
        """The JSON of a payload. It is read once for each event that names it."""
        if ref.path not in self.values:
            self.values[ref.path] = decode_payload(self.body(ref), ref.raw_payload_id)
        return self.values[ref.path]

    def check_payload(self, ref: PayloadRef) -> None:
        """Refuses a payload that is not there or is no JSON, needed or not (schema 2)."""
        data = self.body(ref)
        try:
            self.values[ref.path] = decode_payload(data, ref.raw_payload_id)
        except ReductionError:
            try:
                check(data)
            except ValueError as error:
                raise ReductionError(f"payload {ref.raw_payload_id} cannot be read: {error}") from error

    def thread(self, thread_id: str) -> AgentThread:
        """A thread that must exist."""
        found = self.graph.threads.get(thread_id)
        if found is None:
            raise ReductionError(f"the event names thread {thread_id}, which did not start")
        return found

    def tool(self, tool_call_id: str, what: str) -> ToolCall:
        """A tool call that must exist, and is about to change."""
        found = self.graph.tool_calls.get(tool_call_id)
        if found is None:
            raise ReductionError(f"{what} of tool call {tool_call_id}, which did not start")
        self.touch("tool_calls", tool_call_id)
        return found

    def check_turn(self, what: str, thread_id: str, codex_turn_id: str) -> None:
        """Refuses a turn that did not start or belongs to another thread."""
        turn = self.graph.codex_turns.get(codex_turn_id)
        if turn is None:
            raise ReductionError(f"{what} names turn {codex_turn_id}, which did not start")
        if turn.thread_id != thread_id:
            raise ReductionError(
                f"{what} names thread {thread_id}, but turn {codex_turn_id} belongs to thread {turn.thread_id}"
            )

    # --- conversation items -------------------------------------------------------------------------------------------

    def add_item(self, item: ConversationItem, key: MatchKey) -> None:
        """Puts a new item into the graph and all its indexes."""
        item_id = item.item_id
        self.graph.conversation_items[item_id] = item
        self.match_keys[item_id] = key
        self.touch("conversation_items", item_id)
        if item.call_id is not None:
            self.items_by_call[item.thread_id, item.call_id, item.kind].append(item_id)
            self.items_of_call[item.call_id].append(item_id)
        spoken = item.role == "assistant" and item.kind == "message" and item.agent_message is UNSET
        if spoken and item.codex_turn_id is not None:
            self.assistant_messages[item.thread_id, item.codex_turn_id].append(item_id)

    def snapshot(self, thread_id: str) -> Snapshot:
        """What a thread last showed the model; empty at first."""
        found = self.snapshots.get(thread_id)
        if found is None:
            found = self.snapshots[thread_id] = self.new_snapshot([])
        return found

    def new_snapshot(self, item_ids: list[str]) -> Snapshot:
        """A snapshot that holds these items."""
        return Snapshot(self.match_keys, self.responses_ids).extended(item_ids)

    def join_thread(self, thread: AgentThread, item_ids: list[str]) -> None:
        """Adds items to a thread's conversation: in the order they come (schema 1), or in the order they were made."""
        members = self.members[thread.thread_id]
        for item_id in item_ids:
            if item_id in members:
                continue
            members.add(item_id)
            self.touch("threads", thread.thread_id)
            if self.schema == 1:
                thread.conversation_item_ids.append(item_id)
            else:
                _insert(thread.conversation_item_ids, item_id)

    def call_items(self, thread_id: str, call_id: str, *kinds: str) -> list[str]:
        """A thread's items with this call id: first by id as text (schema 1), or in the order they were made."""
        found = [item_id for kind in kinds for item_id in self.items_by_call.get((thread_id, call_id, kind), ())]
        return sorted(found) if self.schema == 1 else sorted(found, key=item_number)

    def relink(self, call_id: str) -> None:
        """Has the next sighting of every item with this call id link it again, even if nothing else changed."""
        for item_id in self.items_of_call.get(call_id, ()):
            self.look_again[self.graph.conversation_items[item_id].thread_id].add(item_id)

    # --- inference calls ----------------------------------------------------------------------------------------------

    def set_response(self, call: InferenceCall, response_id: str | None) -> None:
        """Gives a call its response id, which a later terminal event may take away again."""
        if call.response_id is not None:
            self.calls_by_response[call.thread_id, call.response_id].discard(call.inference_call_id)
        call.response_id = response_id
        if response_id is not None:
            self.calls_by_response[call.thread_id, response_id].add(call.inference_call_id)

    def set_response_items(self, call: InferenceCall, item_ids: list[str]) -> None:
        """Gives a call its output."""
        for item_id in call.response_item_ids:
            self.calls_by_item[item_id].discard(call.inference_call_id)
        call.response_item_ids = item_ids
        for item_id in item_ids:
            self.calls_by_item[item_id].add(call.inference_call_id)
            call_id = self.graph.conversation_items[item_id].call_id
            if call_id is not None:
                self.relink(call_id)

    def end_call(self, call: InferenceCall, at_unix_ms: int, seq: int, status: ExecutionStatus) -> None:
        """Ends a running call."""
        call.execution.end(at_unix_ms, seq, status)
        self.running_calls[call.codex_turn_id].discard(call.inference_call_id)
        self.touch("inference_calls", call.inference_call_id)


def _insert(item_ids: list[str], item_id: str) -> None:
    """Puts an item where it stands by the order of making; nearly always that is the end."""
    number = item_number(item_id)
    place = len(item_ids)
    if place and item_number(item_ids[-1]) > number:
        place = bisect_left(item_ids, number, key=item_number)
    item_ids.insert(place, item_id)


def item_number(item_id: str) -> int:
    """The number in a conversation item's id: items are numbered as they are made."""
    return int(item_id.rpartition(":")[2])


def window(at_unix_ms: int, seq: int) -> ExecutionWindow:
    """An execution that begins now."""
    return ExecutionWindow(started_at_unix_ms=at_unix_ms, started_seq=seq)
