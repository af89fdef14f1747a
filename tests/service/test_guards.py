"""service/guards.py: bodies that drip are ended; the rest is tested over HTTP (test_errors.py)."""

import asyncio
import json
from typing import Any

from service.guards import BodyLimit


def send_to(limit: BodyLimit, body: list[bytes], ends: bool) -> list[dict[str, Any]]:
    """What is answered to chunks, after which the client says nothing more or that it is done."""
    chunks = iter(body)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        for chunk in chunks:
            return {"type": "http.request", "body": chunk, "more_body": True}
        if not ends:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/edit", "headers": []}
    asyncio.run(limit(scope, receive, send))
    return sent


async def echo(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def test_a_whole_body_reaches_the_application() -> None:
    limit = BodyLimit(echo, max_bytes=10, timeout_s=5)
    assert send_to(limit, [b"abc", b"def"], ends=True)[1]["body"] == b"abcdef"


def test_a_body_that_stops_arriving_ends_with_the_deadline() -> None:
    start, body = send_to(BodyLimit(echo, max_bytes=10, timeout_s=0.1), [b"abc"], ends=False)
    assert start["status"] == 504
    assert (b"connection", b"close") in start["headers"]
    assert json.loads(body["body"])["error"]["code"] == "deadline_exceeded"


def test_a_body_that_is_too_large_is_refused_before_its_end() -> None:
    start, body = send_to(BodyLimit(echo, max_bytes=10, timeout_s=5), [b"x" * 11], ends=False)
    assert start["status"] == 413
    assert json.loads(body["body"])["error"]["allowed"] == [0, 10]
