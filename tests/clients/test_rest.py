"""gradctrl_client.rest against a scripted server: retries, proxies, silence, broken answers."""

import json
import socket
import time
from typing import Any

import pytest
from gradctrl_client import (
    Client,
    DeadlineExceededError,
    GradCtrlError,
    InternalError,
    OverloadedError,
    ServiceUnreachableError,
)

from tests.doubles import ScriptedServer

Answer = tuple[int, dict[str, str], bytes]
MODELS: Answer = (200, {"content-type": "application/json"}, b'{"models": []}')


def refusal(status: int, code: str, **headers: str) -> Answer:
    body = {"error": {"code": code, "message": "no"}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return (status, named, json.dumps(body).encode())


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
    head = {"content-type": "text/event-stream"}
    frame = {"step": 0, "edit": 0, "image": PNG, "scores": {"smile": {"smiling": 0.5}}}
    body = f"event: frame\ndata: {json.dumps(frame)}\n\n".encode()
    with (
        ScriptedServer([(200, head, body)]) as server,
        Client(server.url) as client,
        client.edit_stream("smile", "smiling", seed=1) as stream,
    ):
        assert next(stream).step == 0
        with pytest.raises(ServiceUnreachableError, match="summary"):
            next(stream)


def test_an_error_event_raises() -> None:
    error = {"error": {"code": "deadline_exceeded", "message": "60 s are over"}}
    body = f"event: error\ndata: {json.dumps(error)}\n\n".encode()
    with (
        ScriptedServer([(200, {}, body)]) as server,
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
