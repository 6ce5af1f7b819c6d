"""Conversation items and what surrounds them flow in, items to be shown flow out: who speaks, what, what came back."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from django.urls import reverse

from traces.ingest.titles import said
from traces.models import ConversationItem, Node, Rollout

PREVIEW = 20_000  # characters of one text in a list; the item's own page shows more
OUTPUTS = {"function_call_output", "custom_tool_call_output"}
CALLS = {"function_call", "custom_tool_call"}
TOOL_ICONS = {"exec_command": "terminal", "write_stdin": "terminal", "apply_patch": "patch"}
AGENT_TOOLS = {"spawn_agent", "wait_agent", "close_agent", "send_message", "assign_agent_task"}
OUTPUT_HEAD = re.compile(
    r"(?:Chunk ID: (?P<chunk>.*)\n)?(?:Exit code: (?P<code>-?\d+)\n)?Wall time: (?P<wall>.*)\n"
    r"(?:Process (?P<process>.*)\n)?(?:Original token count: (?P<tokens>\d+)\n)?Output:\n"
)
WHO = {"user": "User", "assistant": "Assistant", "developer": "Developer", "system": "System", "tool": "Tool output"}


@dataclass(frozen=True)
class Piece:
    """One part of what an item says."""

    kind: Literal["prose", "output", "patch", "code", "json", "unreadable"]
    text: str
    left_out: int = 0  # characters that the item's own page shows
    note: str = ""


@dataclass(frozen=True)
class Output:
    """What came back for a tool call."""

    item_id: str
    href: str
    seq: int | None
    facts: list[str]
    pieces: list[Piece]

    @property
    def lines(self) -> int:
        """How long it is."""
        return sum(piece.text.count("\n") + 1 for piece in self.pieces if piece.text)


@dataclass(frozen=True)
class ToolView:
    """A tool call beside its item."""

    icon: str
    title: str
    href: str
    status: str
    duration_ms: int | None
    exit_code: int | None
    revision: int = 0


@dataclass
class ItemView:
    """One item as the conversation shows it."""

    item_id: str
    href: str
    who: str
    kind: str
    number: int | None
    seq: int | None
    at_ms: int
    pieces: list[Piece]
    injected: bool
    inference_id: str
    turn_id: str
    call_id: str
    pk: int
    position: int | None
    revision: int  # the newest of what is shown here
    tool: ToolView | None = None
    outputs: list[Output] = field(default_factory=list)
    status: str = ""  # of the call that left it behind incomplete: failed, cancelled, aborted, running
    fate: str = ""

    @property
    def characters(self) -> int:
        """How much it says."""
        return sum(len(piece.text) + piece.left_out for piece in self.pieces if piece.kind != "unreadable")


class Surroundings:
    """The objects that a window of items names, fetched with a fixed number of queries."""

    def __init__(self, rollout: Rollout, rows: Iterable[ConversationItem]) -> None:
        self.rollout = rollout
        self.rows = list(rows)

    def nodes(self, kind: str, ids: Iterable[str]) -> dict[str, Node]:
        """The nodes of this kind with these ids."""
        wanted = {object_id for object_id in ids if object_id}
        if not wanted:
            return {}
        found = Node.objects.filter(rollout=self.rollout, kind=kind, object_id__in=wanted)
        return {node.object_id: node for node in found}

    @cached_property
    def inferences(self) -> dict[str, Node]:
        """The calls that produced the items."""
        return self.nodes("inference_call", (producer(row, "inference") for row in self.rows))

    @cached_property
    def turns(self) -> dict[str, Node]:
        """The turns the items were first seen in."""
        return self.nodes("codex_turn", (row.data.get("codex_turn_id") or "" for row in self.rows))

    @cached_property
    def tools(self) -> dict[str, Node]:
        """The tool calls, by the call id the model used."""
        ids = {row.call_id for row in self.rows} | {producer(row, "tool") for row in self.rows}
        found = self.nodes("tool_call", ids).values()
        return {node.data.get("model_visible_call_id") or node.object_id: node for node in found}

    @cached_property
    def terminals(self) -> dict[str, Node]:
        """The terminal operations of the tool calls."""
        ids = (node.data.get("terminal_operation_id") or "" for node in self.tools.values())
        return self.nodes("terminal_operation", ids)

    @cached_property
    def cells(self) -> dict[str, Node]:
        """The code cells, by the call id the model used."""
        found = self.nodes("code_cell", (f"code_cell:{row.call_id}" for row in self.rows if row.call_id)).values()
        return {node.data["model_visible_call_id"]: node for node in found}

    @cached_property
    def outputs(self) -> dict[str, list[ConversationItem]]:
        """What came back, by call id."""
        ids = {row.call_id for row in self.rows if row.kind in CALLS and row.call_id}
        found: dict[str, list[ConversationItem]] = {}
        rows = ConversationItem.objects.filter(rollout=self.rollout, call_id__in=ids, kind__in=OUTPUTS)
        for row in rows.order_by("ordinal") if ids else ():
            found.setdefault(row.call_id, []).append(row)
        return found

    def view(self, row: ConversationItem, limit: int = PREVIEW) -> ItemView:
        """One item with its tool call and output."""
        view = item_view(self.rollout, row, limit)
        if row.kind in CALLS:
            outputs = self.outputs.get(row.call_id, [])
            view.tool = self.tool_view(row)
            view.outputs = [output_view(self.rollout, output, limit) for output in outputs]
            view.revision = max(view.revision, view.tool.revision, *(output.revision for output in outputs))
        call = self.inferences.get(view.inference_id)
        if call:
            view.status = "" if call.status == "completed" else call.status
            view.revision = max(view.revision, call.revision)
        return view

    def tool_view(self, row: ConversationItem) -> ToolView:
        """The tool call or code cell that an item asked for."""
        node = self.tools.get(row.call_id) or self.cells.get(row.call_id)
        if node is None:
            return ToolView("tool", call_title(row), "", "", None, None)
        terminal = self.terminals.get(node.data.get("terminal_operation_id") or "")
        result = (terminal.data.get("result") or {}) if terminal else {}
        code = any(part["type"] == "code" for part in row.data["body"]["parts"])
        title = node.title.partition(" ")[0] if code else node.title  # the code itself stands below
        href = node_href(self.rollout, node)
        revision = max(node.revision, terminal.revision if terminal else 0)
        return ToolView(node_icon(node), title, href, node.status, node.duration_ms, result.get("exit_code"), revision)


def producer(row: ConversationItem, kind: str) -> str:
    """The id of the first producer of this kind."""
    for made_by in row.data.get("produced_by", ()):
        if made_by["type"] == kind:
            return str(next(value for key, value in made_by.items() if key != "type"))
    return ""


def item_view(rollout: Rollout, row: ConversationItem, limit: int = PREVIEW) -> ItemView:
    """One item by itself."""
    data = row.data
    return ItemView(
        item_id=row.item_id,
        href=item_href(rollout, row.item_id),
        who=who(row),
        kind=row.kind,
        number=None if row.position is None else row.position + 1,
        seq=data.get("accepted_seq"),
        at_ms=data.get("accepted_at_unix_ms") or data["first_seen_at_unix_ms"],
        pieces=[piece(row, part, limit) for part in data["body"]["parts"]],
        injected=is_injected(row),
        inference_id=producer(row, "inference"),
        turn_id=data.get("codex_turn_id") or "",
        call_id=row.call_id,
        pk=row.pk,
        position=row.position,
        revision=row.revision,
    )


def who(row: ConversationItem) -> str:
    """Who speaks, in a word or two."""
    if row.kind == "reasoning":
        return "Reasoning"
    if row.kind in CALLS:
        return "Tool call"
    if row.kind in OUTPUTS:
        return "Tool output"
    if row.kind == "compaction_marker":
        return "Compaction"
    if row.data.get("agent_message"):
        return "Agent message"
    return "Summary" if row.channel == "summary" else WHO.get(row.role, row.role)


def is_injected(row: ConversationItem) -> bool:
    """Whether the client put it there rather than a person or a model."""
    if row.role in ("developer", "system"):
        return True
    if row.role != "user" or row.kind != "message":
        return False
    texts = [part.get("text", "") for part in row.data["body"]["parts"] if part["type"] == "text"]
    return bool(texts) and not said(texts)


def piece(row: ConversationItem, part: dict[str, Any], limit: int) -> Piece:
    """One part of a body."""
    if part["type"] == "encoded":
        return Piece("unreadable", "", note=f"{len(part['value']):,} characters of {part['label'].replace('_', ' ')}")
    if part["type"] == "payload_ref":
        return Piece("unreadable", "", note=f"{part.get('label', 'a payload')}, kept in {part['raw_payload_id']}")
    text = part.get("text") or part.get("summary") or part.get("source") or ""
    return Piece(piece_kind(row, part), text[:limit], max(0, len(text) - limit))


def piece_kind(row: ConversationItem, part: dict[str, Any]) -> Literal["prose", "output", "patch", "code", "json"]:
    """How a part is shown."""
    if part["type"] == "code":
        return "code"
    if part["type"] == "json":
        return "json"
    if row.kind in OUTPUTS:
        return "output"
    if row.kind in CALLS:
        return "patch" if part.get("text", "").startswith("*** Begin Patch") else "code"
    return "prose"


def output_view(rollout: Rollout, row: ConversationItem, limit: int = PREVIEW) -> Output:
    """What a tool gave back: the client's own preface becomes facts, the rest is the output."""
    pieces = [piece(row, part, limit) for part in row.data["body"]["parts"]]
    facts: list[str] = []
    if pieces and (head := OUTPUT_HEAD.match(pieces[0].text)):
        facts = head_facts(head)
        pieces[0] = Piece(pieces[0].kind, pieces[0].text[head.end() :], pieces[0].left_out)
    return Output(row.item_id, item_href(rollout, row.item_id), row.data.get("accepted_seq"), facts, pieces)


def head_facts(head: re.Match[str]) -> list[str]:
    """The client's preface in short."""
    said = {
        "chunk": "chunk {}",
        "code": "exit code {}",
        "wall": "wall time {}",
        "process": "process {}",
        "tokens": "original token count {}",
    }
    return [words.format(head[name]) for name, words in said.items() if head[name] is not None]


def call_title(row: ConversationItem) -> str:
    """A name for a call whose tool call was never recorded: its arguments."""
    parts = row.data["body"]["parts"]
    text = next((part.get("summary") or part.get("text") or "" for part in parts), "")
    try:
        arguments = json.loads(text)
    except ValueError:
        return text[:200] or "a tool"
    command = arguments.get("cmd") or arguments.get("command") if isinstance(arguments, dict) else None
    return str(command or text)[:400]


def node_icon(node: Node) -> str:
    """The symbol of a tool call by what it does."""
    if node.kind == "code_cell":
        return "cell"
    kind = node.data.get("kind", {}).get("type", "")
    return "agent" if kind in AGENT_TOOLS else TOOL_ICONS.get(kind, "tool")


SLUGS = {
    "thread": "threads",
    "codex_turn": "turns",
    "tool_call": "tools",
    "terminal_operation": "terminals",
    "code_cell": "cells",
    "compaction": "compactions",
    "compaction_request": "compaction-requests",
}


def node_href(rollout: Rollout, node: Node) -> str:
    """An object's own page."""
    if node.kind == "inference_call":
        return reverse("inference", args=[rollout.public_id, node.number])
    return reverse("object", args=[rollout.public_id, SLUGS[node.kind], node.object_id])


def item_href(rollout: Rollout, item_id: str) -> str:
    """A conversation item's own page."""
    return reverse("object", args=[rollout.public_id, "items", item_id])
