"""Requests flow in, their bodies flow on as far as there is room for them; otherwise a sentence flows out.

Django writes a body to disk before a view sees it. A limit, or the end of the disk, has to be noticed while it arrives.
"""

import errno

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)
from django.conf import settings

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_ROOM = "There is no room left on the disk of this site, and nothing was kept: free some disk space and try again."


class TooLarge(Exception):
    """More arrives than the limit allows."""


class Exchange:
    """One request and its answer, watched."""

    def __init__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self._receive = receive
        self._send = send
        self.bytes = 0
        self.arrived = False
        self.answered = False

    async def receive(self) -> ASGIReceiveEvent:
        """The next piece, counted."""
        message = await self._receive()
        if message["type"] == "http.request":
            self.bytes += len(message["body"])
            self.arrived = not message["more_body"]
            if self.bytes > settings.TRACESITE_LIMITS.upload_bytes:
                raise TooLarge
        else:
            self.arrived = True
        return message

    async def send(self, message: ASGISendEvent) -> None:
        """Notes that an answer has begun."""
        self.answered = True
        await self._send(message)

    async def refuse(self, status: int, sentence: str) -> None:
        """Answers when everything has arrived: a browser that is still sending would not listen."""
        while not self.arrived:
            message = await self._receive()
            self.arrived = message["type"] != "http.request" or not message["more_body"]
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"x-sentence", sentence.encode("ascii", "replace")),
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
        await self._send({"type": "http.response.body", "body": f"{sentence}\n".encode(), "more_body": False})


def too_large() -> str:
    """The limit, its value and what to do."""
    limits = settings.TRACESITE_LIMITS
    return f"{limits.refusal('upload_bytes', f'This upload is larger than {limits.upload_bytes:,} bytes')}."


def received(application: ASGI3Application) -> ASGI3Application:
    """The application behind the limit for bodies."""

    async def intake(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            return await application(scope, receive, send)
        exchange = Exchange(receive, send)
        try:
            await application(scope, exchange.receive, exchange.send)
        except TooLarge:
            await exchange.refuse(413, too_large())
        except OSError as error:
            if error.errno not in FULL or exchange.answered:
                raise
            await exchange.refuse(507, NO_ROOM)

    return intake
