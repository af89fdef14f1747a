"""service/guards.py: bodies that drip are ended, and what nobody expected is an answer like others.

The rest is tested over HTTP (test_errors.py).
"""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest

from service.access import Access
from service.guards import SMALL_BYTES, BodyLimit, Explained
from service.logs import ACCESS, JsonFormatter
from service.rest import build_rest
from service.settings import Settings
from service.validation import MAX_PARTS

ORIGIN = "https://app.example"


WAIT_S = 10  # a body that is not refused waits for ever


def limit_of(app: Any, max_bytes: int, unanswered: int = 10**9, timeout_s: float = 5) -> BodyLimit:
    return BodyLimit(app, max_bytes, unanswered, timeout_s)


async def ask(
    limit: BodyLimit, body: list[bytes], ends: bool, content_type: str = ""
) -> list[dict[str, Any]]:
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

    headers = [(b"content-type", content_type.encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/edit", "headers": headers}
    await limit(scope, receive, send)
    return sent


def send_to(
    limit: BodyLimit, body: list[bytes], ends: bool, content_type: str = ""
) -> list[dict[str, Any]]:
    return asyncio.run(ask(limit, body, ends, content_type))


async def echo(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def test_a_whole_body_reaches_the_application() -> None:
    limit = limit_of(echo, max_bytes=10)
    assert send_to(limit, [b"abc", b"def"], ends=True)[1]["body"] == b"abcdef"


def test_a_body_that_stops_arriving_ends_with_the_deadline() -> None:
    start, body = send_to(limit_of(echo, max_bytes=10, timeout_s=0.1), [b"abc"], ends=False)
    assert start["status"] == 504
    assert (b"connection", b"close") in start["headers"]
    assert json.loads(body["body"])["error"]["code"] == "deadline_exceeded"


def test_a_body_that_is_too_large_is_refused_before_its_end() -> None:
    start, body = send_to(limit_of(echo, max_bytes=10), [b"x" * 11], ends=False)
    assert start["status"] == 413
    assert json.loads(body["body"])["error"]["allowed"] == [0, 10]


@pytest.mark.parametrize("part", ["[", "{", '"a":'])
@pytest.mark.parametrize(
    ("content_type", "status"), [("Application/JSON", 400), ("image/png", 200)]
)
def test_json_of_more_parts_than_any_request_has_is_not_parsed(
    part: str, content_type: str, status: int
) -> None:
    body = [part.encode() * (MAX_PARTS + 1)]
    start, *_ = send_to(limit_of(echo, max_bytes=10**7), body, True, content_type)
    assert start["status"] == status


LARGE = [b"x" * (SMALL_BYTES + 1)]


@pytest.mark.parametrize("is_whole", [True, False])
def test_large_bodies_are_refused_while_too_many_bytes_have_no_answer(is_whole: bool) -> None:
    async def scenario() -> None:
        working, done = asyncio.Event(), asyncio.Event()

        async def slow_echo(scope: Any, receive: Any, send: Any) -> None:
            working.set()
            await done.wait()
            await echo(scope, receive, send)

        limit = limit_of(slow_echo, max_bytes=10**6, unanswered=SMALL_BYTES + 1)
        first = asyncio.create_task(ask(limit, LARGE, ends=is_whole))
        await (working.wait() if is_whole else asyncio.sleep(0))

        start, body = await ask(limit, LARGE, ends=True)
        assert start["status"] == 503
        assert (b"connection", b"close") in start["headers"]
        assert json.loads(body["body"])["error"]["code"] == "overloaded"

        done.set()
        assert (await ask(limit, [b"small"], ends=True))[0]["status"] == 200
        if is_whole:
            assert (await first)[0]["status"] == 200
        else:
            first.cancel()
            await asyncio.wait({first})
        assert (await ask(limit, LARGE, ends=True))[0]["status"] == 200

    asyncio.run(asyncio.wait_for(scenario(), WAIT_S))


def test_one_body_is_always_taken() -> None:
    limit = limit_of(echo, max_bytes=10**6, unanswered=0)
    assert send_to(limit, LARGE, ends=True)[0]["status"] == 200


class Lines(logging.Handler):
    """Log lines as the service writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(json.loads(JsonFormatter().format(record)))


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What is logged meanwhile, by anybody."""
    root, access, made = logging.getLogger(), logging.getLogger(ACCESS), Lines()
    level = access.level
    root.addHandler(made)
    access.setLevel(logging.INFO)
    yield made
    access.setLevel(level)
    root.removeHandler(made)


class Broken:
    """Handlers with a bug."""

    def models(self) -> None:
        raise RuntimeError("a secret of the server")


def failed_calls() -> list[str]:
    """The series of calls that ended with 500, as Prometheus reads them."""
    return [
        line
        for line in generate_latest().decode().splitlines()
        if line.startswith("bentoml_service_request_total")
        and 'endpoint="/v1/models"' in line
        and 'http_response_code="500"' in line
    ]


def test_an_unexpected_error_is_named_logged_and_counted_as_any_answer(lines: Lines) -> None:
    rest = build_rest(Settings(cors_origins=(ORIGIN,)), Access(None, None, True))
    rest.state.handlers = Broken()

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(rest)  # raises what leaves the application
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/v1/models", headers={"Origin": ORIGIN})

    assert not failed_calls()
    answer = asyncio.run(asked())
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "secret" not in answer.text
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    request_id = answer.headers["x-request-id"]
    error, access = (line for line in lines.found if line["request_id"] == request_id)
    assert (error["level"], error["error"]["type"]) == ("ERROR", "RuntimeError")
    assert access["status"] == "500"
    assert [line for line in lines.found if line["level"] == "ERROR"] == [error]
    assert len(failed_calls()) == 1


def test_an_error_in_the_middle_of_an_answer_leaves_it_unfinished() -> None:
    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Explained(breaks)({"type": "http"}, None, send))  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["http.response.start"]
