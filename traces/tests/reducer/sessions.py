"""Random choices flow in, sessions that no client would record flow out, to be played in more than one way."""

from typing import Any

from hypothesis import strategies as st

from traces.reducer import ReductionError
from traces.tests.reducer.builder import Session
from traces.tests.reducer.items import (
    Item,
    agent_message,
    assistant,
    call,
    code,
    code_output,
    image,
    output,
    reasoning,
    user,
)

ITEMS: list[Item] = [
    user("a"),
    user("b"),
    user("b", id="u1"),
    user('ünïcödé 😀 \u2028 \\ " {[]},'),
    user("see", image()),
    assistant("a"),
    assistant("a", id="m1"),
    assistant("a", id="m2"),
    assistant("b", id="m1"),
    call("c1", '{"x": [1.50, {"y": null}]}'),
    output("c1", "fine"),
    output("c1", [image()]),
    call("c2", "no json", id="f2"),
    output("c2", {"b": 1.0, "a": 2}),
    code("c3"),
    code_output("c3"),
    reasoning("short", sealed="S"),
    reasoning(content=["long"], sealed="S", id="r1"),
    reasoning("open"),
    agent_message("/root/kid", "/root", "hello", id="a1"),
    {"type": "additional_tools", "tools": []},
    user(),
]
ITEM = st.sampled_from(ITEMS)
FEW = st.lists(ITEM, max_size=3)
PLACE = st.integers(0, 9)
CALL = st.sampled_from(["c1", "c2", "c3"])
STEP = st.one_of(
    st.tuples(st.just("say"), FEW),
    st.tuples(st.just("ask"), st.just(None)),
    st.tuples(st.just("ask"), st.just(None)),
    st.tuples(st.just("answer"), FEW),
    st.tuples(st.just("cancel"), FEW),
    st.tuples(st.just("forget"), PLACE),
    st.tuples(st.just("change"), st.tuples(PLACE, ITEM)),
    st.tuples(st.just("go_on"), FEW),
    st.tuples(st.just("tool"), CALL),
    st.tuples(st.just("cell"), st.just("c3")),
    st.tuples(st.just("accept"), st.sampled_from(["m1", "u1", "r1", "a1", "f2"])),
    st.tuples(st.just("compact"), PLACE),
)
STEPS = st.lists(STEP, min_size=3, max_size=25)
Steps = list[tuple[str, Any]]


class Player:
    """Plays steps on a session. What the model is shown is a list that grows and now and then changes."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.shown: list[Item] = []
        self.calls = 0
        self.tools: set[str] = set()

    def play(self, steps: Steps) -> str:
        """The sentence with which a step was refused, or nothing."""
        self.session.start()
        self.session.turn("T1")
        try:
            for name, value in steps:
                getattr(self, name)(value)
        except ReductionError as error:
            return str(error)
        return ""

    def say(self, items: list[Item]) -> None:
        self.shown += items

    def ask(self, _: None) -> None:
        self.calls += 1
        self.session.ask(f"I{self.calls}", *self.shown)

    def answer(self, items: list[Item]) -> None:
        if self.calls:
            self.session.complete(f"I{self.calls}", *items)
            self.shown += items

    def cancel(self, items: list[Item]) -> None:
        if self.calls:
            self.session.cancel(f"I{self.calls}", "stopped", *items)

    def forget(self, place: int) -> None:
        if self.shown:
            del self.shown[place % len(self.shown)]

    def change(self, where: tuple[int, Item]) -> None:
        if self.shown:
            self.shown[where[0] % len(self.shown)] = where[1]

    def go_on(self, items: list[Item]) -> None:
        """A request that holds only what follows an earlier response."""
        if self.calls:
            self.calls += 1
            self.session.ask(f"I{self.calls}", *items, previous_response_id=f"resp_I{self.calls - 1}")

    def tool(self, call_id: str) -> None:
        if call_id not in self.tools:
            self.tools.add(call_id)
            self.session.tool(call_id, "web")

    def cell(self, call_id: str) -> None:
        if "cell" not in self.tools:
            self.tools.add("cell")
            self.session.cell("1", call_id)

    def accept(self, item_id: str) -> None:
        if self.session.schema == 2:
            self.session.accept(item_id)

    def compact(self, place: int) -> None:
        after = self.shown[place:]
        self.session.install(f"C{self.session.seq}", list(self.shown), after)
        self.shown = list(after)
