"""Questions of open pages flow in, the moment in which all of them are answered flows out."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LONGEST_PAUSE = 1.0  # seconds that all others wait for a slow one


class Answers:
    """How many pages are asking what changed in a rollout, at this moment.

    Readers that are rung while others still wait for their answer ask for something else than those, and equal
    questions of many, which cost as much as one, become many different ones.
    """

    def __init__(self) -> None:
        self._asking: Counter[str] = Counter()
        self._answered: dict[str, asyncio.Event] = {}

    @contextmanager
    def asked(self, rollout: str) -> Iterator[None]:
        """Around a question and its answer."""
        self._asking[rollout] += 1
        try:
            yield
        finally:
            self._asking[rollout] -= 1
            if not self._asking[rollout]:
                del self._asking[rollout]
                self._answered.pop(rollout, asyncio.Event()).set()

    async def all_answered(self, rollout: str) -> None:
        """Returns when nobody waits for an answer, or when that takes too long."""
        if rollout in self._asking:
            event = self._answered.setdefault(rollout, asyncio.Event())
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), LONGEST_PAUSE)


answers = Answers()
