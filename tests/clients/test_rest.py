"""gradctrl_client.rest against a scripted server: retries, proxies, silence, broken answers."""

import asyncio
import json
import socket
import time
from typing import Any

import pytest
from gradctrl_client import (
    AsyncClient,
    Client,
    DeadlineExceededError,
    GradCtrlError,
    InternalError,
    OverloadedError,
    ServiceUnreachableError,
)

from tests.doubles import ScriptedServer

Answer = tuple[int, dict[str, str], bytes]
EVENTS = {"content-type": "text/event-stream"}
MODELS: Answer = (200, {"content-type": "application/json"}, b'{"models": []}')


def refusal(status: int, code: str, **headers: str) -> Answer:
    body = {"error": {"code": code, "message": "no"}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (status, named, json.dumps(body).encode())


def event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def test_overload_is_retried_after_the_time_that_the_service_asks_for() -> None:
    busy = refusal(503, "overloaded", retry_after="1")
    with ScriptedServer([busy, MODELS]) as server, Client(server.url) as client:
        started = time.monotonic()
        assert client.models() == []
        assert time.monotonic() - started >= 1
        assert len(server.asked) == 2


def test_retries_end() -> None:
    busy = refusal(503, "overloaded", retry_after="0")
    with ScriptedServer([busy] * 3) as server, Client(server.url, retries=2) as client:
        with pytest.raises(OverloadedError) as caught:
            client.models()
        assert len(server.asked) == 3
    assert (caught.value.status, caught.value.retry_after_s) == (503, 0)


def test_no_wait_beyond_the_budget() -> None:
    busy = refusal(503, "overloaded", retry_after="30")
    with ScriptedServer([busy]) as server, Client(server.url, timeout_s=5) as client:
        started = time.monotonic()
        with pytest.raises(OverloadedError):
            client.models()
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(("status", "code"), [(400, "bad_request"), (500, "internal")])
def test_other_refusals_are_not_retried(status: int, code: str) -> None:
    with ScriptedServer([refusal(status, code)]) as server, Client(server.url) as client:
        with pytest.raises(GradCtrlError) as caught:
            client.models()
        assert len(server.asked) == 1
    assert caught.value.code == code


def test_a_code_of_a_newer_service_is_kept() -> None:
    with (
        ScriptedServer([refusal(418, "teapot")]) as server,
        Client(server.url) as client,
        pytest.raises(GradCtrlError) as caught,
    ):
        client.models()
    assert (type(caught.value), caught.value.code) == (GradCtrlError, "teapot")


@pytest.mark.parametrize(
    "answer",
    [
        (502, {"content-type": "text/html"}, b"<html>bad gateway</html>"),
        (404, {}, b'{"detail": "not found"}'),
        (200, {}, b"<html>a login page</html>"),
        (200, {}, b'{"modells": []}'),
        (200, {}, b"[]"),
        (302, {"location": "/"}, b""),
    ],
)
def test_what_is_no_answer_is_an_internal_error(answer: Answer) -> None:
    with (
        ScriptedServer([answer]) as server,
        Client(server.url) as client,
        pytest.raises(InternalError),
    ):
        client.models()


def test_a_service_that_never_answers_is_a_deadline() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.3) as client,
        pytest.raises(DeadlineExceededError),
    ):
        client.models()


def test_a_cancel_that_got_lost_is_not_repeated() -> None:
    with ScriptedServer([]) as server, Client(server.url) as client:  # hangs up on every request
        with pytest.raises(ServiceUnreachableError):
            client.cancel("some-job")
        assert server.asked == ["DELETE /v1/jobs?id=some-job"]


def test_a_stream_that_breaks_off_is_unreachable() -> None:
    with (
        ScriptedServer([(200, EVENTS, event("frame", FRAME))]) as server,
        Client(server.url) as client,
        client.edit_stream("smile", "smiling", seed=1) as stream,
    ):
        assert next(stream).step == 0
        with pytest.raises(ServiceUnreachableError, match="summary"):
            next(stream)


def test_a_stream_without_any_event_is_asked_for_again() -> None:
    answers = [(200, EVENTS, b""), (200, EVENTS, event("frame", FRAME))]
    with (
        ScriptedServer(answers) as server,
        Client(server.url) as client,
        client.edit_stream("smile", "smiling", seed=1) as stream,
    ):
        assert next(stream).step == 0
        assert len(server.asked) == 2


def test_a_page_instead_of_a_stream_is_an_internal_error() -> None:
    page = (200, {"content-type": "text/html"}, b"<html>a login page</html>")

    async def ask(url: str) -> None:
        async with AsyncClient(url) as client:
            await client.edit_stream("smile", "smiling", seed=1)

    with ScriptedServer([page, page]) as server:
        with Client(server.url) as client, pytest.raises(InternalError, match="text/html"):
            client.edit_stream("smile", "smiling", seed=1)
        with pytest.raises(InternalError, match="text/html"):
            asyncio.run(ask(server.url))


def test_events_of_a_newer_service_are_passed_over() -> None:
    body = event("warning", {"text": "low memory"}) + event("frame", FRAME)
    with (
        ScriptedServer([(200, EVENTS, body)]) as server,
        Client(server.url) as client,
        client.edit_stream("smile", "smiling", seed=1) as stream,
    ):
        assert next(stream).step == 0


def test_an_error_event_raises() -> None:
    error = {"error": {"code": "deadline_exceeded", "message": "60 s are over"}}
    with (
        ScriptedServer([(200, EVENTS, event("error", error))]) as server,
        Client(server.url) as client,
        pytest.raises(DeadlineExceededError, match="60 s"),
    ):
        client.edit_stream("smile", "smiling", seed=1)


def test_headers_go_with_every_request() -> None:
    given: dict[str, Any] = {"headers": {"authorization": "Bearer key"}}
    with ScriptedServer([MODELS]) as server, Client(server.url, **given) as client:
        client.models()
        assert server.headers[0]["authorization"] == "Bearer key"


PNG = (  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC"
)
FRAME = {"step": 0, "edit": 0, "image": PNG, "scores": {"smile": {"smiling": 0.5}}}
