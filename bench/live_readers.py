"""A rollout's address flows in, when each of many readers had which row flows out: `python -m bench.live_readers`.

A reader does what the page does: it waits for a ring, asks for what changed since the revision it has, one request at a
time over one connection, and moves its window so that the newest row is in it. Nothing is drawn.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from contextlib import suppress
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

ROW = re.compile(r'data-kind="tool_call" data-status="(\w+)".*?probe-(\d+)', re.DOTALL)
TOTAL = re.compile(r'data-revision="(\d+)" data-total="(\d+)"')
WINDOW, SLACK = 80, 60
Crowd = tuple[list[dict[str, float]], int]


class Reader:
    """One open page of a rollout."""

    def __init__(self, url: str, key: str) -> None:
        self.host, self.port = str(urlsplit(url).hostname), int(urlsplit(url).port or 80)
        self.path = f"/rollouts/{key}/changes/"
        self.row, self.revision, self.heard = 0, 0, 0
        self.seen: dict[str, float] = {}
        self.asked = 0
        self.rang = asyncio.Event()

    async def listen(self, socket: ClientConnection) -> None:
        """Hears the rings."""
        with suppress(ConnectionClosed):
            async for frame in socket:
                self.heard = max(self.heard, int(json.loads(frame)["revision"]))
                self.rang.set()

    async def ask(self) -> None:
        """Asks for what is new, whenever something is."""
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        while True:
            await self.rang.wait()
            self.rang.clear()
            while self.heard > self.revision:
                self.take(
                    await self.get(
                        f"{self.path}?row={self.row}&item=0&problem=0&thread=&since={self.revision}&to={self.heard}"
                    )
                )

    async def get(self, path: str) -> str:
        """One answer, over the same connection each time."""
        head = f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAccept-Encoding: identity\r\n\r\n"
        self.asked += 1
        self.writer.write(head.encode())
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = re.search(r"content-length: (\d+)", lines)
        return (await self.reader.readexactly(int(length[1]))).decode() if length else ""

    def take(self, answer: str) -> None:
        """Notes the rows that are new, and moves on."""
        now = time.time()
        for status, number in ROW.findall(answer):
            self.seen.setdefault(f"+probe-{number}", now)
            if status == "completed":
                self.seen.setdefault(f"-probe-{number}", now)
        found = TOTAL.search(answer)
        if found is None:
            self.revision = self.heard
            return
        self.revision = int(found[1])
        if int(found[2]) - self.row > WINDOW:
            # A window that moves is asked for as a whole.
            self.row, self.revision = int(found[2]) - SLACK, 0


async def read(url: str, key: str, count: int, idle_key: str, idle: int, seconds: float) -> Crowd:
    """So many readers of the one rollout, and so many of the other, where nothing happens; how often all asked."""
    host = urlsplit(url).netloc
    origin = Origin(f"http://{host}")
    readers = [Reader(url, key) for _ in range(count)]
    held = [await connect(f"ws://{host}/ws/rollouts/{idle_key}/", origin=origin) for _ in range(idle)]
    async with asyncio.TaskGroup() as work:
        tasks = []
        for reader in readers:
            socket = await connect(f"ws://{host}/ws/rollouts/{key}/", origin=origin)
            held.append(socket)
            tasks += [work.create_task(reader.listen(socket)), work.create_task(reader.ask())]
        print("ready", flush=True)
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
    for socket in held:
        socket.transport.abort()
    return [reader.seen for reader in readers], sum(reader.asked for reader in readers)


if __name__ == "__main__":
    URL, KEY, COUNT, IDLE_KEY, IDLE, SECONDS = sys.argv[1:]
    print(json.dumps(asyncio.run(read(URL, KEY, int(COUNT), IDLE_KEY, int(IDLE), float(SECONDS)))), flush=True)
