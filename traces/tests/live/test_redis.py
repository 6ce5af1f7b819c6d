"""Rings of other processes flow in through a real Redis; a Redis that is away hinders nobody."""

import asyncio
import socket as sockets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from channels.layers import channel_layers
from django.test import override_settings

from traces import live
from traces.live import Bell, bell, pages, ring
from traces.models import Rollout
from traces.tests.fixtures.site import ROOT, environment
from traces.tests.live.sockets import socket
from tracesite.settings import channel_layer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]
RING = """
import django, sys
django.setup()
from traces.live import ring
for revision in range(2, 52):
    ring(sys.argv[1], revision)
"""


def path(rollout: Rollout) -> str:
    return f"/ws/rollouts/{rollout.public_id}/"


@pytest.fixture
def nowhere() -> Iterator[str]:
    """The site's channel layer is a Redis that is not there."""
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{free.getsockname()[1]}/0"
    with override_settings(CHANNEL_LAYERS={"default": channel_layer(url)}):
        channel_layers.backends.clear()
        yield url
    channel_layers.backends.clear()


async def test_another_process_rings(
    rollout: Rollout, redis_layer: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    env = environment(tmp_path_factory.mktemp("site"), "")
    env |= {"REDIS_URL": redis_layer, "DJANGO_SETTINGS_MODULE": "tracesite.settings"}
    async with socket(path(rollout)) as page:
        await page.frame()
        command = [sys.executable, "-c", RING, rollout.public_id]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=env)
        assert await process.wait() == 0
        last = (await page.frames(lambda frame: bool(frame["revision"] == 51)))[-1]
        assert last == {"rollout": rollout.public_id, "revision": 51}


async def test_a_thread_rings_through_redis(rollout: Rollout, redis_layer: str) -> None:
    async with socket(path(rollout)) as page, socket("/ws/rollouts/") as everything:
        await page.frame()
        await everything.frame()
        threading.Thread(target=ring, args=(rollout.public_id, 6)).start()
        assert (await page.frame())["revision"] == (await everything.frame())["revision"] == 6


async def test_two_servers_hear_each_other(rollout: Rollout, redis_layer: str) -> None:
    async with socket(path(rollout)) as page:
        await page.frame()
        elsewhere = Bell(asyncio.new_event_loop())
        thread = threading.Thread(target=elsewhere.loop.run_forever)
        thread.start()
        elsewhere.ring(rollout.public_id, 9)
        await asyncio.to_thread(elsewhere.finish)
        assert (await page.frame())["revision"] == 9
        elsewhere.loop.call_soon_threadsafe(elsewhere.loop.stop)
        await asyncio.to_thread(thread.join)
        await asyncio.to_thread(elsewhere.loop.close)


async def test_without_redis_a_page_follows_by_looking(
    rollout: Rollout, nowhere: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pages, "HEAL", 0.1)
    monkeypatch.setattr(pages, "RETRY", 0.05)
    async with socket(path(rollout)) as page:
        await page.frame()
        await Rollout.objects.filter(pk=rollout.pk).aupdate(revision=4)
        began = time.monotonic()
        for revision in range(2, 5):
            ring(rollout.public_id, revision)
        assert time.monotonic() - began < 0.1
        assert (await page.frame())["revision"] == 4
        await asyncio.sleep(0.5)
    assert [record.message[:14] for record in caplog.records if record.name == "traces.live"] == ["Redis is away,"]


async def test_a_redis_that_comes_back_is_heard_again(rollout: Rollout) -> None:
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with override_settings(CHANNEL_LAYERS={"default": channel_layer(f"redis://127.0.0.1:{port}/0")}):
        channel_layers.backends.clear()
        server = start(port)
        try:
            async with socket(path(rollout)) as page:
                await page.frame()
                await write(rollout, 2)
                assert (await page.frame())["revision"] == 2
                stop(server)
                await write(rollout, 3)
                assert (await page.frame())["revision"] == 3
                server = start(port)
                await asyncio.sleep(bell.SHAKY + 1)
                assert not live.register_loop().shaky
                await write(rollout, 4)
                assert [frame["revision"] for frame in await page.frames(lambda frame: bool(frame["revision"] == 4))][
                    -1
                ] == 4
        finally:
            stop(server)
    channel_layers.backends.clear()


async def write(rollout: Rollout, revision: int) -> None:
    """A new revision, committed and rung."""
    await Rollout.objects.filter(pk=rollout.pk).aupdate(revision=revision)
    ring(rollout.public_id, revision)


def start(port: int) -> "subprocess.Popen[bytes]":
    """A Redis of this test's own, that keeps nothing."""
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            sockets.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return server
    raise AssertionError("Redis did not start")


def stop(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    server.wait(10)
