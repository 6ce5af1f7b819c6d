"""One object's reduced data flows in, the sections of its page flow out: facts, texts, links to what it names."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from traces.models import ConversationItem, Node, Rollout, TerminalSession
from traces.pages.facts import Fact, Ref, event_fact, item_refs, payload_refs, slug_ref
from traces.pages.items import node_href, output_view
from traces.pages.outline import names
from traces.pages.pretty import Pretty, pretty
from traces.pages.tools import arguments, cut_off, is_patch, returned

WHOLE = 200_000  # characters of one text
MESSAGES = 100
FOLDED = 20_000  # characters of a payload that is folded on another object's page


@dataclass(frozen=True)
class Text:
    """A text of its own: a command, an output, code."""

    title: str
    text: str
    kind: Literal["output", "code", "patch"] = "output"
    note: str = ""

    @property
    def shown(self) -> str:
        """As much as the page shows."""
        return self.text[:WHOLE]

    @property
    def left_out(self) -> int:
        """How much it does not show."""
        return max(0, len(self.text) - WHOLE)


@dataclass(frozen=True)
class Recorded:
    """A payload's content, folded."""

    ref: Ref
    text: Pretty


@dataclass
class Details:
    """What a page says about its object."""

    facts: list[Fact] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    links: list[tuple[str, list[Ref]]] = field(default_factory=list)
    recorded: list[Recorded] = field(default_factory=list)


def details(rollout: Rollout, node: Node) -> Details:
    """The sections of this object's page."""
    return MAKERS[node.kind](rollout, node, node.data)


def thread(rollout: Rollout, node: Node, data: dict[str, Any]) -> Details:
    """An agent."""
    origin = data.get("origin", {})
    facts = [
        Fact("Path", data.get("agent_path", ""), mono=True),
        Fact("Nickname", data.get("nickname") or "none", dim=not data.get("nickname")),
        Fact("Model", data.get("default_model") or "unknown"),
        Fact("Origin", origin.get("type", "unknown").replace("_", " ")),
        Fact("Thread id", node.object_id, mono=True, gap=True),
    ]
    if task := origin.get("task_name"):
        facts.insert(4, Fact("Task", task, mono=True))
    links = [
        ("Parent agent", refs_to(rollout, "thread", [origin.get("parent_thread_id")])),
        ("Agents it started", children_of(rollout, node)),
    ]
    if spawn := slug_ref(rollout, "How it was started", "edges", origin.get("spawn_edge_id")):
        links.append(("Spawn", [spawn]))
    links.append(("Messages between agents", item_refs(rollout, "Message", messages_of(rollout, node))))
    talk = f"{rollout.get_absolute_url()}?thread={node.object_id}#conversation"
    links.append(("Conversation", [Ref("As the model saw it", talk)]))
    return Details(facts, links=links)


def messages_of(rollout: Rollout, node: Node) -> list[str]:
    """What other agents wrote to this one, or had from it, in its conversation."""
    items = ConversationItem.objects.filter(rollout=rollout, thread_id=node.object_id, kind="message")
    return list(items.filter(between_agents=True).order_by("ordinal").values_list("item_id", flat=True)[:MESSAGES])


def children_of(rollout: Rollout, node: Node) -> list[Ref]:
    """The agents whose origin names this one."""
    others = rollout.nodes.filter(kind="thread").exclude(pk=node.pk).order_by("started_seq")
    origins = ((other, other.data.get("origin", {})) for other in others)
    return [node_ref(rollout, other) for other, origin in origins if origin.get("parent_thread_id") == node.object_id]


def codex_turn(rollout: Rollout, node: Node, data: dict[str, Any]) -> Details:
    """A turn."""
    facts = [Fact("Turn id", node.object_id, mono=True)]
    return Details(facts, links=[("Input", item_refs(rollout, "Item", data.get("input_item_ids", [])))])


def tool_call(rollout: Rollout, node: Node, data: dict[str, Any]) -> Details:
    """A tool call: what was asked, what ran, what came back."""
    kind = data["kind"]
    facts = [
        Fact("Tool", kind.get("name") or kind["type"], mono=True),
        Fact("Asked for by", data["requester"]["type"].replace("_", " ")),
        Fact("Call id", data.get("model_visible_call_id") or "none", mono=True, gap=True),
        Fact("Tool call id", node.object_id, mono=True),
    ]
    if data.get("mcp_call_id"):
        facts.append(Fact("MCP call id", data["mcp_call_id"], mono=True))
    terminals = list(rollout.nodes.filter(kind="terminal_operation", object_id=data.get("terminal_operation_id") or ""))
    ran = [text for terminal in terminals for text in terminal_texts(terminal.data)]
    asked = asked_for(body_of(rollout, data.get("raw_invocation_payload_id")))
    printed = next((text.text for text in ran if text.title == "Output"), "") if terminals else None
    texts = [*asked, *(ran or previews(data["summary"], bool(asked))), *went_back(rollout, data, printed)]
    cells = [data["requester"].get("code_cell_id"), data.get("started_code_cell_id")]
    links = [
        ("In the conversation", item_refs(rollout, "Call", data["model_visible_call_item_ids"])),
        ("Output, as the model saw it", item_refs(rollout, "Output", data["model_visible_output_item_ids"])),
        ("Terminal", [ref for terminal in terminals for ref in terminal_refs(rollout, terminal)]),
        ("Code cell", refs_to(rollout, "code_cell", cells)),
    ]
    facts += [fact for terminal in terminals for fact in terminal_facts(terminal.data)]
    return Details(facts, texts, links, recorded(rollout, data))


def body_of(rollout: Rollout, raw_payload_id: str | None) -> bytes:
    """The bytes of a payload; none where there is none."""
    row = rollout.payloads.filter(raw_payload_id=raw_payload_id).first() if raw_payload_id else None
    return row.bytes() if row else b""


def asked_for(invocation: bytes) -> list[Text]:
    """The arguments as the model gave them."""
    asked = arguments(invocation)
    if not asked:
        return []
    return [Text("Patch" if is_patch(asked) else "Arguments", asked, "patch" if is_patch(asked) else "code")]


def went_back(rollout: Rollout, data: dict[str, Any], printed: str | None) -> list[Text]:
    """What the model was given, and what of the output it was not."""
    item_ids = data["model_visible_output_item_ids"]
    texts = []
    for row in ConversationItem.objects.filter(rollout=rollout).named(item_ids):
        output = output_view(rollout, row, WHOLE)
        said = "".join(piece.text for piece in output.pieces)
        lost = cut_off(printed, said) if printed else None
        notes = [*output.facts, returned(printed, said, lost)]
        texts.append(Text("Went back to the model", said, note=" · ".join(filter(None, notes))))
        if lost:
            texts.append(Text("Cut off in between", lost.text, note=f"The model saw this instead: {lost.instead}"))
    return texts or [Text("Went back to the model", "", note="No output went back to the model.")]


def recorded(rollout: Rollout, data: dict[str, Any]) -> list[Recorded]:
    """What was asked, what the runtime saw and what came back, as recorded."""
    refs = payload_refs(rollout, data)
    rows = rollout.payloads.filter(raw_payload_id__in=[ref.object_id for ref in refs])
    bodies = {row.raw_payload_id: row for row in rows}
    return [Recorded(ref, pretty(bodies[ref.object_id].bytes(), FOLDED)) for ref in refs if ref.object_id in bodies]


def previews(summary: dict[str, Any], asked: bool) -> list[Text]:
    """A tool without a terminal: what the recording says of its input, where nothing says more, and its output."""
    named = {"Input": None if asked else summary.get("input_preview"), "Output": summary.get("output_preview")}
    return [Text(title, text, note="A preview: the payloads hold the whole.") for title, text in named.items() if text]


def terminal_operation(rollout: Rollout, node: Node, data: dict[str, Any]) -> Details:
    """A command, or a write to a terminal."""
    facts = [*terminal_facts(data), Fact("Operation", node.object_id, mono=True, gap=True)]
    session = TerminalSession.objects.filter(rollout=rollout, terminal_id=data.get("terminal_id") or "").first()
    others = [key for key in (session.data["operation_ids"] if session else []) if key != node.object_id]
    seen = data.get("model_observations", [])
    calls = [item_id for one in seen for item_id in one["call_item_ids"]]
    outputs = [item_id for one in seen for item_id in one["output_item_ids"]]
    links = [
        ("Terminal", terminal_refs(rollout, node)[1:]),
        ("Tool call", refs_to(rollout, "tool_call", [data["tool_call_id"]])),
        ("Same terminal", refs_to(rollout, "terminal_operation", others)),
        ("In the conversation", item_refs(rollout, "Call", calls)),
        ("Output, as the model saw it", item_refs(rollout, "Output", outputs)),
    ]
    return Details(facts, terminal_texts(data), links)


def terminal_refs(rollout: Rollout, operation: Node) -> list[Ref]:
    """An operation, and the terminal it shares with others."""
    whole = slug_ref(rollout, "The whole terminal", "sessions", operation.data.get("terminal_id"))
    return [node_ref(rollout, operation), *([whole] if whole else [])]


def terminal_facts(data: dict[str, Any]) -> list[Fact]:
    """What ran, where, and how it ended."""
    asked, result = data["request"], data.get("result") or {}
    code = result.get("exit_code")
    facts = [Fact("Kind", data["kind"].replace("_", " "))]
    if "cwd" in asked:
        facts.append(Fact("Folder", asked["cwd"] or "unknown", mono=True))
    facts.append(Fact("Exit code", "unknown" if code is None else str(code), dim=code is None))
    return facts


def terminal_texts(data: dict[str, Any]) -> list[Text]:
    """What was typed and what was printed."""
    asked, result = data["request"], data.get("result") or {}
    texts = []
    if command := asked.get("display_command"):
        texts.append(Text("Command", command, "code"))
    if asked.get("stdin") is not None:
        texts.append(Text("Typed into the terminal", asked["stdin"] or "(nothing: only waited)", "code"))
    if not result:
        return [*texts, Text("Output", "", note="No result was recorded.")]
    texts.append(Text("Output", result.get("stdout") or "", note="" if result.get("stdout") else "It printed nothing."))
    if result.get("stderr"):
        texts.append(Text("Errors", result["stderr"]))
    return texts


def code_cell(rollout: Rollout, node: Node, data: dict[str, Any]) -> Details:
    """Code the model wrote."""
    facts = [
        Fact("Runtime status", data["runtime_status"].replace("_", " ")),
        Fact("First response", (data.get("initial_response_status") or "none").replace("_", " ")),
        event_fact(rollout, "Responded", data.get("initial_response_at_unix_ms"), data.get("initial_response_seq")),
        event_fact(rollout, "Yielded", data.get("yielded_at_unix_ms"), data.get("yielded_seq")),
        Fact("Runtime cell", data.get("runtime_cell_id") or "none", mono=True),
        Fact("Cell id", node.object_id, mono=True, gap=True),
    ]
    links = [
        ("In the conversation", item_refs(rollout, "Source", [data["source_item_id"]])),
        ("Output, as the model saw it", item_refs(rollout, "Output", data["output_item_ids"])),
        ("Tools it called", refs_to(rollout, "tool_call", data["nested_tool_call_ids"])),
        ("Waits", refs_to(rollout, "tool_call", data["wait_tool_call_ids"])),
    ]
    return Details(facts, [Text("Code", data["source_js"], "code")], links, recorded(rollout, data))


def compaction(rollout: Rollout, node: Node, data: dict[str, Any]) -> Details:
    """A history made shorter."""
    before, after = data["input_item_ids"], data["replacement_item_ids"]
    facts = [
        Fact("Items before", f"{len(before):,}"),
        Fact("Items after", f"{len(after):,}"),
        Fact("Compaction id", node.object_id, mono=True, gap=True),
    ]
    links = [
        ("Requests", refs_to(rollout, "compaction_request", data["request_ids"])),
        ("Marker", item_refs(rollout, "Item", [data["marker_item_id"]])),
    ]
    return Details(facts, links=links)


def compaction_request(rollout: Rollout, node: Node, data: dict[str, Any]) -> Details:
    """An attempt to have a history made shorter."""
    facts = [
        Fact("Model", data["model"]),
        Fact("Provider", data["provider_name"]),
        Fact("Request id", node.object_id, mono=True, gap=True),
    ]
    return Details(facts, links=[("Compaction", refs_to(rollout, "compaction", [data["compaction_id"]]))])


def refs_to(rollout: Rollout, kind: str, ids: list[str | None]) -> list[Ref]:
    """Links to the objects with these ids, those that exist."""
    wanted = [object_id for object_id in ids if object_id]
    found = {node.object_id: node for node in rollout.nodes.filter(kind=kind, object_id__in=wanted)} if wanted else {}
    nodes = [found[object_id] for object_id in wanted if object_id in found]
    return [node_ref(rollout, node) for node in nodes]


def node_ref(rollout: Rollout, node: Node) -> Ref:
    """A link to this object by its name."""
    return Ref(" ".join(filter(None, names(node))) or node.object_id, node_href(rollout, node), node.status)


MAKERS: dict[str, Callable[[Rollout, Node, dict[str, Any]], Details]] = {
    "thread": thread,
    "codex_turn": codex_turn,
    "tool_call": tool_call,
    "terminal_operation": terminal_operation,
    "code_cell": code_cell,
    "compaction": compaction,
    "compaction_request": compaction_request,
}
