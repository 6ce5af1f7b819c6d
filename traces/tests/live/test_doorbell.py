"""Rings flow in, what a page hears of them flows out: the newest revision, soon, and never too often."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers
from django.utils import timezone

from traces import live
from traces.live import asking, pages, ring
from traces.models import Rollout
from traces.tests.live.conftest import make_rollout
from traces.tests.live.sockets import FOREIGN, HOST, Socket, socket
from tracesite.settings import channel_layer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_layer() -> Iterator[None]:
    """A layer that remembers nothing of the test before: its queues belong to an event loop."""
    channel_layers.backends.clear()
    yield
    channel_layers.backends.clear()


def path(rollout: Rollout) -> str:
    return f"/ws/rollouts/{rollout.public_id}/"


async def test_a_page_hears_the_revision_at_once(rollout: Rollout) -> None:
    async with socket(path(rollout)) as page:
        assert await page.frame() == {"rollout": rollout.public_id, "revision": 1}
        assert await page.silent()


async def test_a_page_hears_of_its_own_rollout_only(rollout: Rollout) -> None:
    other = await sync_to_async(make_rollout)("other")
    async with socket(path(rollout)) as page:
        await page.frame()
        ring(other.public_id, 7)
        assert await page.silent()
        ring(rollout.public_id, 8)
        assert await page.frame() == {"rollout": rollout.public_id, "revision": 8}


async def test_the_list_hears_of_every_rollout(rollout: Rollout) -> None:
    async with socket("/ws/rollouts/") as page:
        assert await page.frame() == {"rollout": "", "revision": 2}
        for public_id in (rollout.public_id, "another"):
            ring(public_id, 5)
            assert await page.frame() == {"rollout": public_id, "revision": 5}


async def test_a_rollout_that_may_not_be_seen_is_refused(rollout: Rollout) -> None:
    await Rollout.objects.filter(pk=rollout.pk).aupdate(deleted_at=timezone.now())
    for public_id in (rollout.public_id, "nobody", "x" * 500):
        async with socket(f"/ws/rollouts/{public_id}/") as page:
            said = await page.output()
            assert (said["type"], said["code"]) == ("websocket.close", 4404)


@pytest.mark.parametrize("address", ["/", "/ws/", "/ws/rollouts", "/ws/rollouts/a/b/", "/ws/rollouts/ä/"])
async def test_an_unknown_address_is_refused_politely(address: str) -> None:
    said = await Socket(address).opened()
    assert (said["type"], said["code"]) == ("websocket.close", 1000)


async def test_another_site_hears_nothing(rollout: Rollout) -> None:
    assert (await Socket(path(rollout), HOST, FOREIGN).opened())["type"] == "websocket.close"


async def test_many_rings_are_few_frames_and_the_last_one_is_heard(rollout: Rollout) -> None:
    async with socket(path(rollout)) as page:
        await page.frame()
        began = time.monotonic()
        for revision in range(2, 502):
            ring(rollout.public_id, revision)
            await asyncio.sleep(0.002)
        heard = [frame["revision"] for frame in await page.frames(lambda frame: bool(frame["revision"] == 501))]
        seconds = time.monotonic() - began
        assert heard == sorted(set(heard))
        assert len(heard) <= 12 * seconds + 2
        assert await page.silent()


async def test_nobody_is_rung_while_others_wait_for_their_answer(rollout: Rollout) -> None:
    async with socket(path(rollout)) as page, socket(path(rollout)) as other:
        await page.frame()
        await other.frame()
        with live.answers.asked(rollout.public_id), live.answers.asked(rollout.public_id):
            ring(rollout.public_id, 2)
            assert [(await each.frame())["revision"] for each in (page, other)] == [2, 2]
            for revision in (3, 4, 5):
                ring(rollout.public_id, revision)
            assert await page.silent(0.4)
        assert [(await each.frame())["revision"] for each in (page, other)] == [5, 5]


async def test_a_question_that_is_never_answered_holds_up_the_others_for_a_moment_only(
    rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "LONGEST_PAUSE", 0.1)
    async with socket(path(rollout)) as page:
        await page.frame()
        with live.answers.asked(rollout.public_id):
            ring(rollout.public_id, 2)
            await page.frame()
            ring(rollout.public_id, 3)
            assert (await page.frame())["revision"] == 3


async def test_many_rings_at_once_are_one_or_two_frames(rollout: Rollout) -> None:
    async with socket(path(rollout)) as page:
        await page.frame()
        for revision in range(2, 502):
            ring(rollout.public_id, revision)
        assert len(await page.frames(lambda frame: bool(frame["revision"] == 501))) <= 2


async def test_a_ring_for_hundreds_of_rollouts_is_lost_for_none(rollout: Rollout) -> None:
    async with socket("/ws/rollouts/") as page, socket(path(rollout)) as own:
        await page.frame()
        await own.frame()
        for number in range(400):
            ring(f"another{number}", 3)
        ring(rollout.public_id, 9)
        assert await own.frame() == {"rollout": rollout.public_id, "revision": 9}
        assert (await page.frames(lambda frame: bool(frame["revision"] == 9)))[-1]["rollout"] == rollout.public_id


async def test_a_thread_rings_through_the_loop_of_the_server(rollout: Rollout) -> None:
    async with socket(path(rollout)) as page:
        await page.frame()
        writers = [threading.Thread(target=ring, args=(rollout.public_id, revision)) for revision in range(2, 22)]
        for writer in writers:
            writer.start()
        assert (await page.frames(lambda frame: bool(frame["revision"] == 21)))[-1]["revision"] == 21
        for writer in writers:
            writer.join()


async def test_every_page_hears_and_who_has_left_costs_nothing(rollout: Rollout) -> None:
    async with socket(path(rollout)) as page:
        await page.frame()
        async with socket(path(rollout)) as other:
            await other.frame()
            ring(rollout.public_id, 2)
            assert (await page.frame())["revision"] == (await other.frame())["revision"] == 2
        assert len(live.audience().pages[rollout.public_id]) == 1
    assert live.audience().pages == {}
    assert live.audience().known == {}
    await asyncio.sleep(0.05)
    ours = {"_listen", "_heal", "_tell_all", "_send_all"}
    assert not [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") in ours]


async def test_who_comes_back_learns_what_was_missed(rollout: Rollout) -> None:
    async with socket(path(rollout)) as page:
        await page.frame()
    await Rollout.objects.filter(pk=rollout.pk).aupdate(revision=12)
    ring(rollout.public_id, 12)
    async with socket(path(rollout)) as page:
        assert (await page.frame())["revision"] == 12


async def test_a_lost_ring_is_healed(rollout: Rollout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "HEAL", 0.1)
    async with socket(path(rollout)) as page, socket("/ws/rollouts/") as everything:
        await page.frame()
        await everything.frame()
        assert await page.silent(0.3)
        await Rollout.objects.filter(pk=rollout.pk).aupdate(revision=4)
        assert await page.frame() == {"rollout": rollout.public_id, "revision": 4}
        assert await everything.frame() == {"rollout": "", "revision": 5}
        assert await page.silent(0.3)


async def test_a_page_whose_rollout_was_deleted_is_sent_away(rollout: Rollout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "HEAL", 0.1)
    async with socket(path(rollout)) as page:
        await page.frame()
        await Rollout.objects.filter(pk=rollout.pk).aupdate(deleted_at=timezone.now())
        assert (await page.output())["code"] == 4404


async def test_what_a_page_says_is_not_listened_to(rollout: Rollout) -> None:
    async with socket(path(rollout)) as page:
        await page.frame()
        await page.says(text='{"rollout": "x"}')
        await page.says(bytes=b"\x00")
        ring(rollout.public_id, 3)
        assert (await page.frame())["revision"] == 3


def test_a_ring_that_nobody_can_hear_costs_nothing() -> None:
    before = threading.active_count()
    ring("nobody", 1)
    assert threading.active_count() == before


def test_the_layer_is_in_memory_unless_a_url_names_a_redis() -> None:
    assert channel_layer("") == {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    assert channel_layer("redis://127.0.0.1:6379/0")["CONFIG"] == {"hosts": ["redis://127.0.0.1:6379/0"]}
