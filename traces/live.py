"""A rollout's new revision flows in from whoever wrote it, small frames flow out to every open page it concerns.

It is a doorbell and no delivery: a frame only says which revision there is, and the page asks for what changed since
its own. So a lost frame costs a few seconds at most and never a row. Each process subscribes once, however many pages
it serves; each page costs one small object, and a task only while it is being told something.
"""

import asyncio
import atexit
import io
import json
import logging
import os
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, WebSocketScope
from channels.db import database_sync_to_async
from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.core.handlers.asgi import ASGIRequest
from django.db import Error as DatabaseError
from django.db.models import Count, Sum
from django.http import Http404, HttpRequest
from django.urls import path

from traces.models import Rollout
from traces.models.rollouts import RolloutQuerySet
from traces.sharing import rollout_for, rollouts_for

GROUP = "rollouts"
EVERY = ""  # the topic of a page that wants to hear of every rollout
PAUSE = 1 / 12  # seconds between two frames to one page
HEAL = 15.0  # seconds between two looks at the rows, for rings that were lost
PATIENCE = 2.0  # seconds until a channel layer that does not answer counts as away
RETRY = 1.0  # seconds until one that is away is asked again
SHAKY = 5.0  # seconds after it failed in which rings may still be lost
NOT_FOUND = 4404  # a page that gets this code does not come back

logger = logging.getLogger(__name__)


async def failure(work: Coroutine[Any, Any, None]) -> BaseException | None:
    """What went wrong. Errors of a layer are those of its client, which is not loaded where nobody uses it."""
    return (await asyncio.gather(work, return_exceptions=True))[0]


# Ringing


class Bell:
    """Rings from one event loop. While a ring is under way the newest of each rollout waits, and only that one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.pid = os.getpid()
        self._waiting: dict[str, int] = {}
        self._sending: asyncio.Task[None] | None = None
        self._away = False
        self._failed_at = -SHAKY

    @property
    def shaky(self) -> bool:
        """Whether the layer is away, or was a moment ago: who listens may not be back yet."""
        return time.monotonic() - self._failed_at < SHAKY

    @property
    def works(self) -> bool:
        """Whether its loop still runs, and in this very process: a fork takes no threads along."""
        return self.pid == os.getpid() and not self.loop.is_closed()

    def ring(self, public_id: str, revision: int) -> None:
        """From any thread; returns at once."""
        try:
            self.loop.call_soon_threadsafe(self._take, public_id, revision)
        except RuntimeError:
            logger.debug("Nobody hears of %s any more: the server is ending.", public_id)

    def _take(self, public_id: str, revision: int) -> None:
        self._waiting[public_id] = max(revision, self._waiting.get(public_id, 0))
        if self._sending is None:
            self._sending = self.loop.create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._waiting:
            public_id = next(iter(self._waiting))
            revision = self._waiting.pop(public_id)
            if await self._sent(public_id, revision):
                await asyncio.sleep(0)  # whoever listens on this loop empties its queue before it is full
            else:
                self._waiting.setdefault(public_id, revision)
                await asyncio.sleep(RETRY)
        self._sending = None

    async def _sent(self, public_id: str, revision: int) -> bool:
        message = {"type": "rollout.changed", "rollout": public_id, "revision": revision}
        error = await failure(asyncio.wait_for(get_channel_layer().group_send(GROUP, message), PATIENCE))
        if error is not None:
            self.say_away(error)
            return False
        self._away = False
        return True

    def say_away(self, error: BaseException) -> None:
        """One warning, however long it lasts."""
        if not self._away:
            logger.warning("Redis is away, open pages follow within seconds instead of at once: %r", error)
        self._away, self._failed_at = True, time.monotonic()

    def finish(self) -> None:
        """Waits a moment for rings that are under way: the process ends."""
        if self.works:
            with suppress(TimeoutError):
                asyncio.run_coroutine_threadsafe(self._drain(), self.loop).result(PATIENCE)

    async def _drain(self) -> None:
        if self._sending is not None:
            await asyncio.wait([self._sending])


_bell: Bell | None = None
_choosing = threading.Lock()


def ring(public_id: str, revision: int) -> None:
    """Tells every open page of this rollout, in whatever process, that there is a new revision.

    Call it after the commit, from any thread or process. It does not wait, and it does not fail.
    """
    if bell := _find_bell():
        bell.ring(public_id, revision)


def _find_bell() -> Bell | None:
    """The server's; a process that serves nobody makes its own, unless nobody could hear it."""
    global _bell  # noqa: PLW0603 - one for each process
    with _choosing:
        if _bell is not None and _bell.works:
            return _bell
        if isinstance(get_channel_layer(), InMemoryChannelLayer):
            return None
        _bell = Bell(asyncio.new_event_loop())
        threading.Thread(target=_bell.loop.run_forever, name="bell", daemon=True).start()
        atexit.register(_bell.finish)
        return _bell


def register_loop() -> Bell:
    """Makes the running event loop the one that this process rings through."""
    global _bell  # noqa: PLW0603 - one for each process
    loop = asyncio.get_running_loop()
    with _choosing:
        if _bell is None or _bell.loop is not loop:
            _bell = Bell(loop)
        return _bell


# Listening


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
            for page in self.pages.get(topic, ()):
                page.tell(rollout, revision)

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


# Sockets


async def doorbell(scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """One open page, from its coming to its leaving. What it says is not listened to."""
    topic = scope["url_route"]["kwargs"].get("public_id", EVERY)
    await receive()
    await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
    page, pages = Page(topic, send), audience()
    pages.join(page)
    try:
        await pages.ready()  # first, so that nothing is missed between the look at the rows and the subscription
        await _greet(page, pages, request_of(scope))
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        pages.leave(page)


async def _greet(page: Page, pages: Audience, request: HttpRequest) -> None:
    """Whoever comes back learns by this what it missed."""
    try:
        revision = await database_sync_to_async(current)(request, page.topic)
    except Http404:
        page.refuse()
    else:
        pages.known.setdefault(page.topic, revision)
        page.tell(page.topic, revision)


def current(request: HttpRequest, topic: str) -> int:
    """The revision of what this request may see."""
    return rollout_for(request, topic).revision if topic else sum_of(rollouts_for(request))


def request_of(scope: WebSocketScope) -> HttpRequest:
    """The socket's handshake, as the request that it is: one check of who may see what, for pages and sockets."""
    return ASGIRequest({**scope, "type": "http", "method": "GET"}, io.BytesIO())


# Django's paths lead to views, Channels' router takes them for sockets.
sockets = [
    path("ws/rollouts/", doorbell),  # type: ignore[arg-type]
    path("ws/rollouts/<slug:public_id>/", doorbell),  # type: ignore[arg-type]
]
