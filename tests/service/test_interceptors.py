"""The interceptors around small methods, on a real grpc.aio server in this process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from service.errors import ApiError
from service.interceptors import (
    Authorized,
    Explained,
    Identified,
    Measured,
    Open,
    Read,
    Timed,
    request_id,
)
from tests.rpc_calls import Refused, refused

SERVICE = "tests.Small"
MAX_BYTES = 100
KEY = (("authorization", "Bearer sesame"),)


async def echo(request: bytes, context: Any) -> bytes:
    return request + request_id(context).encode()[:0]


async def broken(request: bytes, context: Any) -> bytes:
    raise RuntimeError("a secret of the server")


async def cancelled_inside(request: bytes, context: Any) -> bytes:
    raise asyncio.CancelledError


async def endless(request: bytes, context: Any) -> None:
    while True:
        await context.write(request)
        await asyncio.sleep(0.01)


def expect_key(metadata: Mapping[str, str | bytes], address: str) -> str:
    assert address.startswith(("ipv4:127.0.0.1", "ipv6:", "unix:"))
    if metadata.get("authorization") != "Bearer sesame":
        raise ApiError("unauthenticated", "give an API key", "authorization")
    return "tests"


@asynccontextmanager
async def channel(*interceptors: grpc.aio.ServerInterceptor) -> AsyncIterator[Any]:
    """A channel to the small methods behind the interceptors."""
    methods: dict[str, Any] = {
        behaviour.__name__: grpc.unary_unary_rpc_method_handler(behaviour, bytes, bytes)
        for behaviour in (echo, broken, cancelled_inside)
    }
    methods["endless"] = grpc.unary_stream_rpc_method_handler(endless, bytes, bytes)
    around = [Identified(SERVICE), *interceptors, Read(SERVICE, MAX_BYTES)]
    server = grpc.aio.server(interceptors=around)
    for name in (SERVICE, "tests.Other"):
        handler = grpc.method_handlers_generic_handler(name, methods)
        server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(None)


def refusal(
    method: str,
    *interceptors: grpc.aio.ServerInterceptor,
    service: str = SERVICE,
    message: bytes = b"x",
    **more: Any,
) -> Refused | bytes:
    """What a client gets of a method."""

    async def call() -> Refused | bytes:
        async with channel(*interceptors) as opened:
            path = f"/{service}/{method}"
            try:
                if method == "endless":
                    return b"".join([part async for part in opened.unary_stream(path)(message)])
                return bytes(await opened.unary_unary(path)(message, **more))
            except grpc.aio.AioRpcError as error:
                return refused(error)

    return asyncio.run(call())


def test_an_answer_passes() -> None:
    assert refusal("echo", Measured(SERVICE, True), Explained(SERVICE), Timed(SERVICE, 1)) == b"x"


@pytest.mark.parametrize("method", ["broken", "cancelled_inside"])
def test_a_failure_is_internal_and_keeps_its_secrets(method: str) -> None:
    answer = refusal(method, Explained(SERVICE))
    assert isinstance(answer, Refused)
    assert (answer.status, answer.code) == (grpc.StatusCode.INTERNAL, "internal")
    assert "secret" not in answer.message


def test_the_hook_refuses_and_lets_pass() -> None:
    around = (Explained(SERVICE), Authorized(SERVICE, expect_key))
    answer = refusal("echo", *around)
    assert isinstance(answer, Refused)
    assert (answer.status, answer.code, answer.field) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "unauthenticated",
        "authorization",
    )
    assert refusal("echo", *around, metadata=KEY) == b"x"


def test_other_services_pass_untouched() -> None:
    answer = refusal(
        "broken", Explained(SERVICE), Authorized(SERVICE, expect_key), service="tests.Other"
    )
    assert isinstance(answer, Refused)
    assert (answer.status, answer.code) == (grpc.StatusCode.UNKNOWN, None)


def test_a_stream_ends_with_the_longest_time() -> None:
    answer = refusal("endless", Explained(SERVICE), Timed(SERVICE, 0.1))
    assert isinstance(answer, Refused)
    assert (answer.status, answer.code) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "deadline_exceeded",
    )


def test_a_message_above_the_limit_is_refused() -> None:
    answer = refusal("echo", Explained(SERVICE), message=bytes(MAX_BYTES + 1))
    assert isinstance(answer, Refused)
    assert (answer.status, answer.field) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "body")


@pytest.mark.parametrize("is_open", [True, False])
def test_no_call_ends_while_calls_are_held(is_open: bool) -> None:
    def expect_open() -> None:
        if not is_open:
            raise ApiError("overloaded", "the service stops")

    async def held_and_released() -> bytes | str | None:
        door = Open(SERVICE, expect_open)
        async with channel(Explained(SERVICE), door) as opened:
            with door.held():
                call = opened.unary_unary(f"/{SERVICE}/echo")(b"x")
                await asyncio.sleep(0.2)
                assert not call.done()
            try:
                return bytes(await call)
            except grpc.aio.AioRpcError as error:
                return refused(error).code

    assert asyncio.run(held_and_released()) == (b"x" if is_open else "overloaded")


def test_a_call_without_a_key_is_refused_before_its_message_comes() -> None:
    async def refused_early() -> Refused:
        async with channel(Explained(SERVICE), Authorized(SERVICE, expect_key)) as opened:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await opened.stream_unary(f"/{SERVICE}/echo")(never())
            return refused(caught.value)

    assert asyncio.run(refused_early()).code == "unauthenticated"


def test_a_message_that_does_not_come_ends_with_the_longest_time() -> None:
    async def waited() -> Refused:
        async with channel(Explained(SERVICE), Timed(SERVICE, 0.1)) as opened:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await opened.stream_unary(f"/{SERVICE}/echo")(never())
            return refused(caught.value)

    assert asyncio.run(waited()).code == "deadline_exceeded"


def test_a_call_without_a_message_is_refused() -> None:
    async def asked() -> Refused:
        async with channel(Explained(SERVICE)) as opened:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await opened.stream_unary(f"/{SERVICE}/echo")(iter(()))
            return refused(caught.value)

    answer = asyncio.run(asked())
    assert (answer.code, answer.field) == ("bad_request", "body")


async def never() -> AsyncIterator[bytes]:
    """Messages of a client that sends none and does not end."""
    await asyncio.Event().wait()
    yield b""
