"""The rows of a rollout flow in, its `state.json` flows out: nothing but the rows is asked."""

from collections import defaultdict
from typing import Any

from traces.models import Node, RequestItems, Rollout

Objects = dict[str, dict[str, Any]]

SECTIONS = {
    Node.Kind.THREAD: ("threads", "thread_id"),
    Node.Kind.CODEX_TURN: ("codex_turns", "codex_turn_id"),
    Node.Kind.INFERENCE_CALL: ("inference_calls", "inference_call_id"),
    Node.Kind.CODE_CELL: ("code_cells", "code_cell_id"),
    Node.Kind.TOOL_CALL: ("tool_calls", "tool_call_id"),
    Node.Kind.TERMINAL_OPERATION: ("terminal_operations", "operation_id"),
    Node.Kind.COMPACTION: ("compactions", "compaction_id"),
    Node.Kind.COMPACTION_REQUEST: ("compaction_requests", "compaction_request_id"),
}


def state_of(rollout: Rollout) -> dict[str, Any]:
    """The whole graph as the reference writes it."""
    conversations, items = _conversation(rollout)
    return {
        **rollout.head,
        **_nodes(rollout, conversations),
        "conversation_items": items,
        "terminal_sessions": {row.data["terminal_id"]: row.data for row in rollout.terminal_sessions.all()},
        "interaction_edges": {row.data["edge_id"]: row.data for row in rollout.interaction_edges.all()},
        "raw_payloads": _payloads(rollout),
    }


def _nodes(rollout: Rollout, conversations: dict[str, list[str]]) -> dict[str, Objects]:
    sections: dict[str, Objects] = {section: {} for section, _ in SECTIONS.values()}
    requests = _requests(rollout)
    for pk, kind, data in rollout.nodes.values_list("pk", "kind", "data"):
        section, name = SECTIONS[Node.Kind(kind)]
        if kind == Node.Kind.THREAD:
            data["conversation_item_ids"] = conversations[data["thread_id"]]
        elif kind == Node.Kind.INFERENCE_CALL:
            data["request_item_ids"] = requests[pk]
        sections[section][data[name]] = data
    return sections


def _requests(rollout: Rollout) -> dict[int, list[str]]:
    """Every request's whole list, by its call."""
    whole: dict[int, list[str]] = {}
    rows = RequestItems.objects.filter(rollout=rollout).order_by("run", "step")
    for pk, base, kept, items in rows.values_list("pk", "base", "kept", "items"):
        whole[pk] = [*(whole[base][:kept] if base else ()), *items]
    return whole


def _conversation(rollout: Rollout) -> tuple[dict[str, list[str]], Objects]:
    conversations: dict[str, list[str]] = defaultdict(list)
    items: Objects = {}
    for position, data in rollout.conversation_items.order_by("position").values_list("position", "data"):
        items[data["item_id"]] = data
        if position is not None:
            conversations[data["thread_id"]].append(data["item_id"])
    return conversations, items


def _payloads(rollout: Rollout) -> Objects:
    rows = rollout.payloads.filter(in_graph=True).values_list("raw_payload_id", "kind", "path")
    return {name: {"raw_payload_id": name, "kind": {"type": kind}, "path": path} for name, kind, path in rows}
