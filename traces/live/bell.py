"""A rollout's new revision flows in from whoever wrote it, a message to all processes that serve pages flows out."""

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from channels.layers import InMemoryChannelLayer, get_channel_layer

GROUP = "rollouts"
PATIENCE = 2.0  # seconds until a channel layer that does not answer counts as away
RETRY = 1.0  # seconds until one that is away is asked again
SHAKY = 5.0  # seconds after it failed in which rings may still be lost

logger = logging.getLogger("traces.live")


async def failure(work: Coroutine[Any, Any, None]) -> BaseException | None:
    """What went wrong. Errors of a layer are those of its client, which is not loaded where nobody uses it."""
    return (await asyncio.gather(work, return_exceptions=True))[0]


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
