"""A terminal session or a compaction flows in; what belongs together under it flows out, in windows."""

from dataclasses import dataclass
from typing import Any

from traces.models import Node, Rollout, TerminalSession
from traces.pages.details import Text, terminal_facts, terminal_texts
from traces.pages.facts import Fact, Ref
from traces.pages.inference import item_views
from traces.pages.items import ItemView, node_href
from traces.pages.outline import names
from traces.pages.windows import Window, asked_start

OPERATIONS = 30
ITEMS = 40


@dataclass(frozen=True)
class Operation:
    """One command, or one write, of a terminal."""

    node: Node
    ref: Ref
    facts: list[Fact]
    texts: list[Text]


@dataclass(frozen=True)
class Side:
    """The history before or after a compaction, in a window."""

    name: str  # the query's name for its start
    title: str
    window: Window
    items: list[ItemView]


def session_context(rollout: Rollout, session: TerminalSession, asked: str | None) -> dict[str, Any]:
    """Every operation of a terminal, in order, with what each typed and printed."""
    ids = session.data["operation_ids"]
    window = Window(asked_start(asked), OPERATIONS, len(ids))
    shown = ids[window.start : window.stop]
    found = {node.object_id: node for node in rollout.nodes.filter(kind="terminal_operation", object_id__in=shown)}
    nodes = [found[object_id] for object_id in shown if object_id in found]
    agent = rollout.nodes.filter(kind="thread", object_id=session.thread_id).first()
    return {
        "rollout": rollout,
        "session": session,
        "window": window,
        "operations": [operation(rollout, node) for node in nodes],
        "agent": Ref(agent.title, node_href(rollout, agent), agent.status) if agent else None,
        "start_ms": int(rollout.started_at.timestamp() * 1000),
    }


def operation(rollout: Rollout, node: Node) -> Operation:
    """One operation as its terminal's page shows it."""
    ref = Ref(" ".join(filter(None, names(node))), node_href(rollout, node), node.status)
    return Operation(node, ref, terminal_facts(node.data), terminal_texts(node.data))


def sides_of(rollout: Rollout, node: Node, asked: dict[str, str]) -> list[Side]:
    """What the model saw before a compaction, and what it saw from there on."""
    if node.kind != "compaction":
        return []
    after, before = node.data["replacement_item_ids"], node.data["input_item_ids"]
    return [
        side(rollout, "after", "The history after it", after, asked.get("after")),
        side(rollout, "before", "The history before it", before, asked.get("before")),
    ]


def side(rollout: Rollout, name: str, title: str, item_ids: list[str], asked: str | None) -> Side:
    """A window of one of the two."""
    window = Window(asked_start(asked), ITEMS, len(item_ids))
    return Side(name, title, window, item_views(rollout, item_ids[window.start : window.stop]))
