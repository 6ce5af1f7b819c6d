"""Equal requests flow in, one answer that was begun after the last of them flows out to all.

When a busy rollout rings, all of its readers ask for the same change in the same moment. Django needs milliseconds for
each, whatever is cached; here it is asked once. An answer that is under way already may be older than what the ring
told of, so whoever comes then waits for the next one.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)

from traces.live import answers

Key = tuple[Any, ...]
Answer = list[ASGISendEvent]


class Together:
    """An application, asked once for all who ask the same."""

    # Django's handlers are typed more narrowly than what they take.
    def __init__(self, application: Any, shared: Callable[[HTTPScope], bool]) -> None:
        self._application: ASGI3Application = application
        self._shared = shared
        self._under_way: dict[Key, asyncio.Task[Answer]] = {}
        self._to_begin: dict[Key, asyncio.Task[Answer]] = {}

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and self._shared(scope):
            with answers.asked(rollout_of(scope)):
                await self._share(scope, send)
        else:
            await self._application(scope, receive, send)

    async def _share(self, scope: HTTPScope, send: ASGISendCallable) -> None:
        key = key_of(scope)
        if key not in self._to_begin:
            self._to_begin[key] = asyncio.create_task(self._answer(key, scope))
        # Who leaves while waiting leaves alone.
        for event in await asyncio.shield(self._to_begin[key]):
            await send(event)

    async def _answer(self, key: Key, scope: HTTPScope) -> Answer:
        if before := self._under_way.get(key):
            await asyncio.wait([before])
        self._under_way[key] = self._to_begin.pop(key)
        try:
            return await self._asked(scope)
        finally:
            del self._under_way[key]

    async def _asked(self, scope: HTTPScope) -> Answer:
        answer: Answer = []
        arrived = False

        async def receive() -> ASGIReceiveEvent:
            nonlocal arrived
            if arrived:
                await asyncio.Event().wait()  # nobody leaves: there may be others
            arrived = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(event: ASGISendEvent) -> None:
            answer.append(event)

        await self._application(scope, receive, send)
        return answer


def key_of(scope: HTTPScope) -> Key:
    """Who asks for the same, as the same person."""
    cookies = tuple(value for name, value in scope["headers"] if name in (b"cookie", b"authorization", b"host"))
    return scope["path"], scope["query_string"], scope["scheme"], cookies


def rollout_of(scope: HTTPScope) -> str:
    """The second part of its address."""
    return scope["path"].split("/")[2]


def is_changes(scope: HTTPScope) -> bool:
    """What the readers of a rollout ask for whenever it rings."""
    return scope["path"].startswith("/rollouts/") and scope["path"].endswith("/changes/")
