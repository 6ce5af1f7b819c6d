"""Many equal requests flow in; the application is asked once, and nobody gets an answer older than the request."""

import asyncio
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from traces.models import Rollout
from traces.tests.live.sockets import HOST
from tracesite.asgi import application
from tracesite.together import Together, is_changes

CHANGES = "/rollouts/abc/changes/"


class Slow:
    """An application that takes its time, and says which number its answer has."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        number = self.begun
        await self.go.wait()
        assert (await receive())["body"] == b""
        if scope["query_string"] == b"fail":
            raise ZeroDivisionError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(number).encode()})


def asked(application: Any, path: str = CHANGES, query: bytes = b"", cookie: bytes = b"", method: str = "GET") -> Any:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [HOST, (b"cookie", cookie)],
    }
    return ApplicationCommunicator(application, scope)


async def body(communicator: Any) -> bytes:
    await communicator.receive_output()
    found: bytes = (await communicator.receive_output())["body"]
    return found


async def begin(*communicators: Any) -> None:
    for communicator in communicators:
        await communicator.send_input({"type": "http.request", "body": b""})
    await asyncio.sleep(0.01)


async def test_who_asks_at_once_gets_one_answer_and_who_comes_later_the_next() -> None:
    slow = Slow()
    together = Together(slow, is_changes)
    first = [asked(together) for _ in range(20)]
    await begin(*first)
    later = [asked(together) for _ in range(20)]
    await begin(*later)
    assert slow.begun == 1
    slow.go.set()
    assert {await body(each) for each in first} == {b"1"}
    assert {await body(each) for each in later} == {b"2"}
    last = asked(together)
    await begin(last)
    assert await body(last) == b"3"


async def test_what_is_not_the_same_is_asked_for_itself() -> None:
    slow = Slow()
    slow.go.set()
    together = Together(slow, is_changes)
    different = [
        asked(together),
        asked(together, query=b"since=1"),
        asked(together, cookie=b"somebody=else"),
        asked(together, path="/rollouts/def/changes/"),
        asked(together, path="/rollouts/abc/"),
        asked(together, path="/rollouts/abc/"),
        asked(together, method="HEAD"),
    ]
    await begin(*different)
    assert slow.begun == len(different)


async def test_who_leaves_leaves_alone() -> None:
    slow = Slow()
    together = Together(slow, is_changes)
    first, second = asked(together), asked(together)
    await begin(first, second)
    first.stop(exceptions=False)
    slow.go.set()
    assert await body(second) == b"1"


async def test_a_failure_is_everybodys_and_the_next_is_asked_anew() -> None:
    slow = Slow()
    slow.go.set()
    together = Together(slow, is_changes)
    for number in (1, 2):
        failing = asked(together, query=b"fail")
        await begin(failing)
        with pytest.raises(ZeroDivisionError):
            await failing.wait()
        assert slow.begun == number


@pytest.mark.django_db(transaction=True)
async def test_the_site_answers_as_its_view_does(rollout: Rollout) -> None:
    path = f"{rollout.get_absolute_url()}changes/"
    communicator = asked(application, path=path, query=b"since=0")
    await begin(communicator)
    head = await communicator.receive_output(5)
    assert head["status"] == 200
    names = {name.lower() for name, _ in head["headers"]}
    assert {b"cache-control", b"x-liveness", b"content-security-policy"} <= names
    assert b'id="changes"' in (await communicator.receive_output(5))["body"]
