"""What somebody typed into "Jump to" flows in, the object of the outline that stands there flows out."""

import re
from dataclasses import dataclass

from traces.models import ConversationItem, Node, Rollout
from traces.models.fields import BIGGEST
from traces.pages.outline import row_of

# The words of the outline, in the singular; what is not here is no place.
KINDS = {
    "agent": "thread",
    "turn": "codex_turn",
    "inference": "inference_call",
    "tool call": "tool_call",
    "tool": "tool_call",
    "terminal": "terminal_operation",
    "code cell": "code_cell",
    "cell": "code_cell",
    "compaction": "compaction",
    "compaction request": "compaction_request",
}
ROW = re.compile(r"(?:row |#)?(\d{1,12})")
SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?) ?%")
NUMBERED = re.compile(r"([a-z][a-z ]*?) ?#?(\d{1,9})")
CLOCK = re.compile(r"\+?(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2}(?:\.\d{1,3})?)")
UNITS = re.compile(r"\+?((?:\d{1,9}(?:\.\d{1,3})? ?(?:h|ms|m|min|s) ?)+)")
UNIT = re.compile(r"(\d+(?:\.\d+)?) ?(h|ms|min|m|s)")
SCALE = {"h": 3_600_000, "m": 60_000, "min": 60_000, "s": 1_000, "ms": 1}
ABOVE = 2  # rows and items that stand above the one that was asked for
ITEM_LISTS = ("response_item_ids", "model_visible_call_item_ids", "input_item_ids")
ITEMS = ("source_item_id", "marker_item_id")


@dataclass(frozen=True)
class Landing:
    """Where a jump lands."""

    node: Node
    row: int  # where the window of the outline begins
    item: int  # where the window of the conversation begins
    thread_id: str


def land(rollout: Rollout, asked: str) -> Landing | None:
    """The object that stands at this place, with its windows; nothing where the words name no place."""
    node = find(rollout, " ".join(asked.lower().replace(",", "").split())[:100])
    if node is None:
        return None
    item = item_near(rollout, node)
    place = item.position if item and item.position is not None else 0
    thread_id = item.thread_id if item else node.thread_id
    return Landing(node, max(0, row_of(rollout, node) - ABOVE), max(0, place - ABOVE), thread_id)


def find(rollout: Rollout, asked: str) -> Node | None:
    """The object by its row, its share of the rollout, its number, its event or its time."""
    if row := ROW.fullmatch(asked):
        return at_row(rollout, int(row[1]) - 1)
    if share := SHARE.fullmatch(asked):
        return at_row(rollout, int(rollout.nodes.count() * min(float(share[1]), 100) / 100))
    since = milliseconds(asked)
    if since is not None:
        return at_time(rollout, int(rollout.started_at.timestamp() * 1000) + since)
    named = NUMBERED.fullmatch(asked)
    if named and named[1] == "event":
        return latest(rollout, "started_seq", int(named[2]))
    if named and (kind := KINDS.get(named[1])):
        return rollout.nodes.filter(kind=kind, number=int(named[2])).first()
    return None


def at_row(rollout: Rollout, index: int) -> Node | None:
    """The object on this row, from 0; what lies beyond the end is the last one."""
    nodes = Node.objects.filter(rollout=rollout).outline()
    found = nodes[max(0, index) : max(0, index) + 1].first() if index < BIGGEST else None
    return found or nodes.last()


def milliseconds(asked: str) -> int | None:
    """1:30, +3.2 s or 2 m 5 s as milliseconds."""
    if clock := CLOCK.fullmatch(asked):
        return round((int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3])) * 1000)
    if UNITS.fullmatch(asked):
        return round(sum(float(number) * SCALE[unit] for number, unit in UNIT.findall(asked)))
    return None


def at_time(rollout: Rollout, unix_ms: int) -> Node | None:
    """What had begun last at this time."""
    return latest(rollout, "started_at_ms", unix_ms)


def latest(rollout: Rollout, column: str, value: int) -> Node | None:
    """The last object that began at or before this, else the first one."""
    nodes = rollout.nodes.order_by(f"-{column}", "-position")
    return nodes.filter(**{f"{column}__lte": min(value, BIGGEST)}).first() or nodes.last()


def item_near(rollout: Rollout, node: Node) -> ConversationItem | None:
    """An item of the conversation that belongs to this object, to one it lies in, or to a call before it."""
    items = ConversationItem.objects.filter(rollout=rollout, position__isnull=False)
    around: Node | None = node
    while around is not None:
        if found := items.filter(item_id__in=own_items(around)).order_by("position").first():
            return found
        if around.kind == "codex_turn" or node.kind == "thread":
            break
        around = around.parent
    calls = rollout.nodes.filter(kind="inference_call", thread_id=node.thread_id, started_seq__lt=node.started_seq)
    for call in calls.order_by("-started_seq")[:5]:
        if near := items.filter(item_id__in=own_items(call)).order_by("-position").first():
            return near
    return None


def own_items(node: Node) -> list[str]:
    """The items that an object names as its own."""
    ids = [item_id for name in ITEM_LISTS for item_id in node.data.get(name) or ()]
    return [*ids, *(node.data[name] for name in ITEMS if node.data.get(name))][:100]
