"""A window of a rollout's nodes flows in, rows of the outline flow out: name, status, duration, place in time."""

from dataclasses import dataclass

from django.db.models import Count, Max, Min

from traces.models import Node, Rollout
from traces.pages.attempts import retries
from traces.pages.items import node_href, node_icon
from traces.pages.windows import Window

WINDOW = 80
NAMES = {
    "codex_turn": "Turn",
    "inference_call": "Inference",
    "compaction": "Compaction",
    "compaction_request": "Compaction request",
}
ICONS = {
    "thread": "agent",
    "codex_turn": "turn",
    "inference_call": "inference",
    "terminal_operation": "terminal",
    "code_cell": "cell",
    "compaction": "compact",
    "compaction_request": "compact",
}
# Stdout and code stay in the database: a row needs none of it.
WITH_DATA = ("thread", "inference_call", "tool_call")
LEAST_WIDTH = 2.5  # percent: what is shorter would not be seen


@dataclass(frozen=True)
class Row:
    """One line of the outline."""

    node: Node
    href: str
    icon: str
    name: str
    said: str  # verbatim: a command, a task
    note: str
    x: str
    width: str
    lifted: int = 0  # levels that are not shown above it

    @property
    def depth(self) -> int:
        """Deeper rows than this are not moved in any further."""
        return min(self.node.depth - self.lifted, 6)


@dataclass(frozen=True)
class Axis:
    """The rollout's time, in milliseconds since 1970."""

    start_ms: int
    end_ms: int

    def place(self, started_ms: int, ended_ms: int | None) -> tuple[str, str]:
        """x and width in percent."""
        whole = max(1, self.end_ms - self.start_ms)
        begin = min(max(0.0, (started_ms - self.start_ms) / whole * 100), 100 - LEAST_WIDTH)
        end = 100.0 if ended_ms is None else (ended_ms - self.start_ms) / whole * 100
        width = min(max(LEAST_WIDTH, end - begin), 100 - begin)
        return f"{begin:.2f}%", f"{width:.2f}%"


@dataclass(frozen=True)
class Outline:
    """A window of the outline."""

    window: Window
    rows: list[Row]  # those that changed, where only these were asked for
    order: list[int]  # the primary keys of all
    axis: Axis


def axis(rollout: Rollout) -> Axis:
    """From the first start to the last thing that is known to have happened."""
    span = rollout.nodes.aggregate(first=Min("started_at_ms"), last=Max("ended_at_ms"), latest=Max("started_at_ms"))
    start = int(rollout.started_at.timestamp() * 1000)
    first = min(start, span["first"] if span["first"] is not None else start)
    return Axis(first, max(first, span["last"] or 0, span["latest"] or 0))


def outline(rollout: Rollout, start: int, since: int = 0, scale: Axis | None = None) -> Outline:
    """The window that begins at this row; of its rows those that say something else than at this revision."""
    nodes = Node.objects.filter(rollout=rollout).outline()
    window = Window(start, WINDOW, nodes.count())
    shown = list(nodes.defer("data")[window.start : window.stop])
    failed = [node for node in shown if node.kind == "inference_call" and node.status == "failed"]
    fill(failed)
    again = retries(rollout, failed)
    # A row changes with its object, and with the attempt that follows a failed one.
    fresh = [node for node in shown if node.revision > since or (node.pk in again and again[node.pk].revision > since)]
    fill([node for node in fresh if node.kind in WITH_DATA and node not in failed])
    scale = scale or axis(rollout)
    rows = [row(rollout, node, scale, again.get(node.pk)) for node in fresh]
    return Outline(window, rows, [node.pk for node in shown], scale)


def fill(nodes: list[Node]) -> None:
    """Gives these nodes the data they were fetched without, all in one query."""
    data = dict(Node.objects.filter(pk__in=[node.pk for node in nodes]).values_list("pk", "data")) if nodes else {}
    for node in nodes:
        node.data = data.get(node.pk, {})


def row(rollout: Rollout, node: Node, scale: Axis, next_attempt: Node | None = None, lifted: int = 0) -> Row:
    """One line."""
    x, width = scale.place(node.started_at_ms, node.ended_at_ms)
    name, said = names(node)
    icon = node_icon(node) if node.kind == "tool_call" else ICONS[node.kind]
    return Row(node, node_href(rollout, node), icon, name, said, note(node, next_attempt), x, width, lifted)


def names(node: Node) -> tuple[str, str]:
    """Our name for it, and what a machine calls it."""
    if node.kind == "thread":
        return f"Agent {node.title}", ""
    if node.kind in NAMES:
        return f"{NAMES[node.kind]} {node.number}", ""
    if node.kind == "terminal_operation":
        return f"Terminal {node.number}", ""
    if node.kind == "code_cell":
        return f"Code cell {node.number}", ""
    return "", node.title


def note(node: Node, next_attempt: Node | None) -> str:
    """What else the line says, dimmed."""
    if node.kind == "codex_turn":
        return node.title
    if node.kind != "inference_call":
        return ""
    notes = []
    kept = len(node.data.get("response_item_ids", ()))
    if kept and node.status in ("cancelled", "aborted"):
        notes.append(f"{kept} item{'s' if kept > 1 else ''} kept")
    if next_attempt:
        notes.append(f"retried by {next_attempt.number}")
    return ", ".join(notes)


def row_of(rollout: Rollout, node: Node) -> int:
    """Where a node stands in the outline, from 0."""
    return Node.objects.filter(rollout=rollout, position__lt=node.position).count()


def counts_of(rollout: Rollout, kind: str) -> dict[str, int]:
    """How many objects of a kind there are, by status."""
    return dict(rollout.nodes.filter(kind=kind).values_list("status").annotate(Count("pk")).order_by())
