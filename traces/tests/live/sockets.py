"""The site's own application flows in, sockets as a page opens them flow out."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from asgiref.testing import ApplicationCommunicator
from channels.layers import get_channel_layer

from traces.live import audience, register_loop
from tracesite.asgi import application

HOST, OWN = (b"host", b"127.0.0.1:8000"), (b"origin", b"http://127.0.0.1:8000")
FOREIGN = (b"origin", b"http://evil.example")
PATIENCE = 5  # seconds until a frame that does not come counts as lost


class Socket:
    """One socket. (Channels' own communicator wants Daphne to be installed.)"""

    def __init__(self, path: str, *headers: tuple[bytes, bytes]) -> None:
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": list(headers or (HOST, OWN)),
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
            "subprotocols": [],
        }
        self.communicator = ApplicationCommunicator(application, scope)

    async def opened(self) -> dict[str, Any]:
        """The answer to its coming."""
        await self.communicator.send_input({"type": "websocket.connect"})
        return await self.output()

    async def output(self) -> dict[str, Any]:
        """The next thing the server does."""
        found: dict[str, Any] = await self.communicator.receive_output(PATIENCE)
        return found

    async def frame(self) -> dict[str, Any]:
        """The next frame."""
        found: dict[str, Any] = json.loads((await self.output())["text"])
        return found

    async def frames(self, until: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """All frames up to one like this."""
        found = [await self.frame()]
        while not until(found[-1]):
            found.append(await self.frame())
        return found

    async def silent(self, seconds: float = 0.2) -> bool:
        """Whether nothing comes for so long."""
        return bool(await self.communicator.receive_nothing(seconds, 0.01))

    async def says(self, **message: Any) -> None:
        """The page sends something."""
        await self.communicator.send_input({"type": "websocket.receive", **message})

    async def left(self) -> None:
        """The page is gone."""
        await self.communicator.send_input({"type": "websocket.disconnect", "code": 1001, "reason": ""})
        await self.communicator.wait()


@asynccontextmanager
async def socket(path: str) -> AsyncIterator[Socket]:
    """An open socket of the site, behind its guard."""
    register_loop()
    page = Socket(path)
    assert (await page.opened())["type"] == "websocket.accept"
    yield page
    await page.left()
    if not audience().pages:
        await forget_layer()


async def forget_layer() -> None:
    """Ends what a Redis layer keeps for this event loop, which ends with the test."""
    layer = get_channel_layer()
    if hasattr(layer, "serialize"):
        await layer.flush()
