"""Messages of the bell flow in, small frames flow out to every open page they concern.

A frame only says which revision there is. Each process subscribes once, however many pages it serves; each page costs
one small object, and a task only while it is being told something.
"""

import asyncio
import json
import time
from contextlib import suppress

from asgiref.typing import ASGISendCallable, ASGISendEvent
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.db import Error as DatabaseError
from django.db.models import Count, Sum

from traces.live.asking import answers
from traces.live.bell import GROUP, RETRY, Bell, failure, logger, register_loop
from traces.models import Rollout
from traces.models.rollouts import RolloutQuerySet

EVERY = ""  # the topic of a page that wants to hear of every rollout
PAUSE = 1 / 12  # seconds between two frames to one page
HEAL = 15.0  # seconds between two looks at the rows, for rings that were lost
NOT_FOUND = 4404  # a page that gets this code does not come back


class Page:
    """One open socket. It is told the newest revision, never more often than a page can make use of."""

    def __init__(self, topic: str, send: ASGISendCallable) -> None:
        self.topic = topic
        self._send = send
        self._next: ASGISendEvent | None = None
        self._telling: asyncio.Task[None] | None = None

    def tell(self, rollout: str, revision: int) -> None:
        """Sends this at once, or, so shortly after the last frame, in a moment what is the newest then."""
        text = json.dumps({"rollout": rollout, "revision": revision})
        self._put({"type": "websocket.send", "bytes": None, "text": text})

    def refuse(self) -> None:
        """There is nothing to hear here, or nothing any more."""
        self._put({"type": "websocket.close", "code": NOT_FOUND, "reason": "There is no such rollout."})

    def _put(self, event: ASGISendEvent) -> None:
        self._next = event
        if self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(self._tell_all())

    async def _tell_all(self) -> None:
        while self._next is not None:
            event, self._next = self._next, None
            try:
                await self._send(event)
            except OSError:
                return  # it has just left; nothing more is sent
            if event["type"] == "websocket.close":
                return
            await asyncio.sleep(PAUSE)
        self._telling = None

    def leave(self) -> None:
        """Nothing more is sent."""
        if self._telling is not None:
            self._telling.cancel()


class Audience:
    """The open pages of this process, by what they want to hear of."""

    def __init__(self, bell: Bell) -> None:
        self.bell = bell
        self.pages: dict[str, set[Page]] = {}
        # What is rung next, by topic, while the pages of a topic are still busy with what was rung before.
        self.next: dict[str, tuple[str, int]] = {}
        self._ringing: dict[str, asyncio.Task[None]] = {}
        self.known: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._subscribed = asyncio.Event()

    def join(self, page: Page) -> None:
        """The first one begins the subscription."""
        self.pages.setdefault(page.topic, set()).add(page)
        if not self._tasks:
            self._tasks = [self.bell.loop.create_task(work) for work in (self._listen(), self._heal())]

    async def ready(self) -> None:
        """From here on nothing is missed; a layer that is away is not waited for."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._subscribed.wait(), RETRY)

    def leave(self, page: Page) -> None:
        """The last one ends the subscription."""
        page.leave()
        others = self.pages.get(page.topic, set())
        others.discard(page)
        if not others:
            self.pages.pop(page.topic, None)
            self.known.pop(page.topic, None)
        if not self.pages:
            for task in self._tasks:
                task.cancel()
            self._tasks = []

    def hear(self, rollout: str, revision: int) -> None:
        """Tells every page that this concerns."""
        if not rollout:
            return
        if rollout in self.pages:
            self.known[rollout] = revision
        for topic in (rollout, EVERY):
            if topic in self.pages:
                self.next[topic] = rollout, revision
                if topic not in self._ringing:
                    self._ringing[topic] = self.bell.loop.create_task(self._ring_all(topic))

    async def _ring_all(self, topic: str) -> None:
        """All pages of a topic at once, and again when they have their answers."""
        while told := self.next.pop(topic, None):
            for page in self.pages.get(topic, ()):
                page.tell(*told)
            await asyncio.sleep(PAUSE)
            await answers.all_answered(topic)
        del self._ringing[topic]

    async def _listen(self) -> None:
        """Subscribed until the last one leaves; again and again while the layer is away."""
        while error := await failure(self._subscribe()):
            self.bell.say_away(error)
            await failure(get_channel_layer().flush())  # it would remember each attempt
            await asyncio.sleep(RETRY)

    async def _subscribe(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(GROUP, channel)
        self._subscribed.set()
        try:
            while True:
                message = await layer.receive(channel)
                self.hear(message["rollout"], message["revision"])
        finally:
            self._subscribed.clear()
            await failure(layer.group_discard(GROUP, channel))

    async def _heal(self) -> None:
        looked = time.monotonic()
        while True:
            await asyncio.sleep(min(HEAL, RETRY))
            if self.bell.shaky or time.monotonic() - looked >= HEAL:
                self.bell.ring(EVERY, 0)  # for nobody: whether the layer is there at all
                await self._look()
                looked = time.monotonic()

    async def _look(self) -> None:
        try:
            self._compare(await database_sync_to_async(revisions)(list(self.pages)))
        except DatabaseError:
            logger.warning("The revisions of open pages could not be read", exc_info=True)

    def _compare(self, found: dict[str, int]) -> None:
        """Tells what no ring has told."""
        for topic in list(self.pages):
            if topic not in found:
                for page in self.pages[topic]:
                    page.refuse()
            elif found[topic] != self.known.get(topic):
                self.known[topic] = found[topic]
                for page in self.pages[topic]:
                    page.tell(topic, found[topic])


_audience: Audience | None = None


def audience() -> Audience:
    """The pages that the running event loop serves."""
    global _audience  # noqa: PLW0603 - one for each process
    bell = register_loop()
    if _audience is None or _audience.bell is not bell:
        _audience = Audience(bell)
    return _audience


def revisions(topics: list[str]) -> dict[str, int]:
    """The revisions of those that are still there; whether a page may see its rollout was asked when it came."""
    there = Rollout.objects.visible()
    found = dict(there.filter(public_id__in=topics).values_list("public_id", "revision"))
    return {**found, EVERY: sum_of(there)} if EVERY in topics else found


def sum_of(rollouts: RolloutQuerySet) -> int:
    """A number that changes with every change of the list."""
    found = rollouts.aggregate(count=Count("pk"), revisions=Sum("revision"))
    return int(found["count"] + (found["revisions"] or 0))
