"""service/request_timers.py: what is left of an answered request, and the limit itself."""

import asyncio
import gc
import subprocess
import sys
import weakref
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.request_timers import RequestTimer
from tests.servers import ROOT

SCOPE: Scope = {"type": "http"}
LIMIT_S = 0.05


class Payload:
    """Something that belongs to a request."""


PAYLOAD: ContextVar[Payload] = ContextVar("payload")  # BentoML keeps its request like this


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def call(app: Any, timeout_s: float) -> list[Message]:
    """What a client is sent."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(RequestTimer(app, timeout_s)(SCOPE, receive, send))
    return sent


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"yes"})


def test_nothing_is_left_of_an_answered_request() -> None:
    async def work() -> None:
        async def request() -> "weakref.ref[Payload]":
            payload = Payload()
            PAYLOAD.set(payload)
            await RequestTimer(answer, 600)(SCOPE, receive, lambda message: asyncio.sleep(0))
            return weakref.ref(payload)

        found = await asyncio.create_task(request())
        await asyncio.sleep(0)
        gc.collect()
        assert found() is None

    asyncio.run(work())


def test_the_services_use_it(tiny: object, bentoml_home: Path) -> None:
    """What a worker imports puts it in the place of BentoML's."""
    program = (
        "import service.app; from bentoml._internal.server.http import traffic;"
        "print(traffic.TimeoutMiddleware.__module__)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert found.stdout.splitlines()[-1:] == ["service.request_timers"], found.stderr


def test_a_request_that_takes_too_long_is_refused_and_stopped() -> None:
    stopped = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(True)
            raise

    start, body = call(slow, LIMIT_S)
    assert start["status"] == 504
    assert b"not answered within 0.05 s" in body["body"]
    assert stopped


def test_an_answer_that_has_begun_may_take_its_time() -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(2 * LIMIT_S)
        await send({"type": "http.response.body", "body": b"late"})

    assert call(stream, LIMIT_S)[-1]["body"] == b"late"


def test_a_timeout_of_the_application_is_its_own() -> None:
    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        call(fails, 600)
