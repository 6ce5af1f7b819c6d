"""A window of one agent's items flows in, the lines of its conversation flow out: turns, folds, items and cuts."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from traces.models import ConversationItem, Node, Rollout
from traces.pages.items import CALLS, OUTPUTS, ItemView, Surroundings, node_href, producer
from traces.pages.story import Cut, cut
from traces.pages.windows import Window

WINDOW = 40
PREVIEW = 4_000  # characters of one text: a window of the longest ones stays a page that opens at once


@dataclass
class Entry:
    """One line of the conversation."""

    kind: Literal["turn", "call", "item", "fold", "cut", "compaction"]
    node: Node | None = None
    href: str = ""
    item: ItemView | None = None
    items: list[ItemView] = field(default_factory=list)
    cut: Cut | None = None
    key: str = ""  # its id on the page
    least: int = 0  # the revision of an item that this line stands for or with

    @property
    def revision(self) -> int:
        """The newest of what it shows."""
        views = [self.item] if self.item else self.items
        return max(self.least, self.node.revision if self.node else 0, *(view.revision for view in views))

    def name(self) -> str:
        """What it is called for as long as it is the same line. A fold of other items is another fold."""
        if self.item:
            return f"item-{self.item.pk}"
        if self.items:
            return f"fold-{self.items[0].pk}-{self.items[-1].pk}"
        word = {"call": "inference"}.get(self.kind, self.kind)
        return f"{word}-{self.node.number}" if self.node else word


@dataclass
class Conversation:
    """A window of one agent's conversation."""

    thread: Node
    window: Window
    entries: list[Entry]


def conversation(rollout: Rollout, thread: Node, start: int) -> Conversation:
    """The window that begins at this item."""
    query = ConversationItem.objects.filter(rollout=rollout).conversation(thread.object_id)
    window = Window(start, WINDOW, query.count())
    before = 1 if window.start else 0
    rows = list(query[window.start - before : window.stop + 1])
    shown = rows[before : before + window.size]
    after = rows[before + len(shown)] if len(rows) > before + len(shown) else None
    writer = Writer(rollout, thread, shown, rows[0] if before else None, after)
    return Conversation(thread, window, named(writer.entries()))


def named(entries: Iterable[Entry]) -> list[Entry]:
    """Each line with a name of its own: a call whose items stand apart has two."""
    said: Counter[str] = Counter()
    lines = []
    for entry in entries:
        name = entry.name()
        said[name] += 1
        entry.key = name if said[name] == 1 else f"{name}-{said[name]}"
        lines.append(entry)
    return lines


class Writer:
    """Goes through a window of items once and writes its lines."""

    def __init__(
        self,
        rollout: Rollout,
        thread: Node,
        shown: list[ConversationItem],
        before: ConversationItem | None,
        after: ConversationItem | None,
    ) -> None:
        self.around = Surroundings(rollout, [before, *shown] if before else shown)
        self.thread, self.shown, self.before, self.after = thread, shown, before, after
        self.turn_id = (before.data.get("codex_turn_id") or "") if before else ""
        self.open: Node | None = self._call_of(before) if before else None
        self.newest = before.revision if before else 0  # of the items of the open call
        self.fold: list[ItemView] = []
        self.call_ids = {row.call_id for row in shown if row.kind in CALLS}

    def entries(self) -> Iterator[Entry]:
        """The lines, top to bottom."""
        silent = self._silent_calls()
        for row in self.shown:
            if row.kind in OUTPUTS and row.call_id in self.call_ids:
                continue  # shown beside the call it answers
            yield from self._close(producer(row, "inference"))
            while silent and silent[0].started_at_ms < row.data["first_seen_at_unix_ms"]:
                yield from self._silent(silent.pop(0))
            yield from self._turn(row.data.get("codex_turn_id") or "", row.revision)
            yield from self._row(row)
        yield from self._close(producer(self.after, "inference") if self.after else "")
        for call in silent:
            yield from self._silent(call)
        yield from self._unfold()

    def _row(self, row: ConversationItem) -> Iterator[Entry]:
        if row.kind == "compaction_marker":
            yield from self._unfold()
            found = self.around.nodes("compaction", [producer(row, "compaction")])
            node = next(iter(found.values()), None)
            yield self._entry("compaction", node, row.revision) if node else Entry("compaction", least=row.revision)
            return
        view = self.around.view(row, PREVIEW)
        if view.injected:
            self.fold.append(view)
            return
        yield from self._unfold()
        yield from self._open(row)
        yield Entry("item", item=view)

    def _turn(self, turn_id: str, least: int) -> Iterator[Entry]:
        if turn_id and turn_id != self.turn_id:
            self.turn_id = turn_id
            yield from self._unfold()
            if turn := self.around.turns.get(turn_id):
                yield self._entry("turn", turn, least)

    def _open(self, row: ConversationItem) -> Iterator[Entry]:
        call = self._call_of(row)
        if call and (self.open is None or self.open.pk != call.pk):
            # An item that is carried on only now brings these lines with it.
            self.newest = row.revision
            yield self._entry("call", call, row.revision)
        self.open = call
        self.newest = max(self.newest, row.revision)

    def _close(self, next_call_id: str) -> Iterator[Entry]:
        """The cut line stands where the last item of a call that did not complete has been shown."""
        if self.open and self.open.object_id != next_call_id:
            yield from self._unfold()
            kept = len(self.open.data["response_item_ids"])
            yield Entry("cut", node=self.open, cut=cut(self.open, kept), least=self.newest)
            self.open = None

    def _silent(self, call: Node) -> Iterator[Entry]:
        yield from self._turn(call.data["codex_turn_id"], call.revision)
        yield from self._unfold()
        yield self._entry("call", call, 0)
        yield Entry("cut", node=call, cut=cut(call, 0))

    def _unfold(self) -> Iterator[Entry]:
        if self.fold:
            yield Entry("fold", items=self.fold)
            self.fold = []

    def _entry(self, kind: Literal["turn", "call", "compaction"], node: Node, least: int) -> Entry:
        return Entry(kind, node=node, href=node_href(self.around.rollout, node), least=least)

    def _call_of(self, row: ConversationItem) -> Node | None:
        call = self.around.inferences.get(producer(row, "inference"))
        return call if call and call.status != "completed" else None

    def _silent_calls(self) -> list[Node]:
        """Calls that ended without a single complete item, at the time they were made."""
        calls = Node.objects.filter(rollout=self.around.rollout, kind="inference_call", thread_id=self.thread.object_id)
        calls = calls.exclude(status="completed")
        if self.before and self.shown:
            calls = calls.filter(started_at_ms__gte=self.shown[0].data["first_seen_at_unix_ms"])
        if self.after:
            calls = calls.filter(started_at_ms__lt=self.after.data["first_seen_at_unix_ms"])
        return [call for call in calls.order_by("started_seq") if not call.data["response_item_ids"]]
