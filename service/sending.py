"""Answers on their way to readers that are slow, or never read. Knows no endpoint.

An answer that nobody takes would lie in memory for as long as the connection lives. Bodies are
handed on in pieces within a time, there is an end to how many bytes of them wait at once, and the
kernel ends a connection whose reader has taken nothing for so long.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Iterator
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ApiError
from service.guards import answer_error

PIECE_BYTES = 1 << 16  # what the server holds of an answer beyond what its reader takes
POLL_S = 0.05

logger = logging.getLogger("gradctrl.service")


class Outbox:
    """Hands answers on as they are taken, within a number of bytes and a time."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer, or a refusal where too much waits to be read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def handed_on(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message  # until the size of the body is known
                return
            begun, start = start, None
            if begun is None or message.get("more_body", False):
                await self._pass(begun, message, send)
            elif self._waiting and self._waiting + len(message.get("body", b"")) > self._max_bytes:
                await answer_error(self._full())(scope, receive, send)
            else:
                await self._deliver(begun, message, send)

        await self._app(scope, receive, handed_on)

    async def _pass(self, begun: Message | None, message: Message, send: Send) -> None:
        """Hand on a part of a stream, which has a deadline of its own."""
        if begun is not None:
            await send(begun)
        for piece in _pieces(message):
            await send(piece)

    async def _deliver(self, begun: Message, message: Message, send: Send) -> None:
        """Hand on a whole answer; a reader that is too slow for it loses the connection."""
        size = len(message.get("body", b""))
        self._waiting += size
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._pass(begun, message, send)
        except TimeoutError:
            # The server closes a connection whose answer is not whole.
            logger.warning("an answer of %d bytes was not read in %g s", size, self._timeout_s)
        finally:
            self._waiting -= size

    def _full(self) -> ApiError:
        message = f"{self._waiting} bytes of answers wait for their readers; try again"
        return ApiError("overloaded", message)


def _pieces(message: Message) -> Iterator[Message]:
    """The message itself where it is small, else several with parts of its body."""
    body, more = memoryview(message.get("body", b"")), message.get("more_body", False)
    if len(body) <= PIECE_BYTES:
        yield message
        return
    for begin in range(0, len(body), PIECE_BYTES):
        end = begin + PIECE_BYTES
        part = bytes(body[begin:end])
        yield {"type": message["type"], "body": part, "more_body": more or end < len(body)}


def end_silent_connections(seconds: float) -> "asyncio.Task[None]":
    """Have the kernel end connections that take nothing for so long, once the server listens.

    Its option is inherited by every accepted connection. Closing alone would not do: the server
    keeps a connection until the last bytes are taken. Linux only; elsewhere nothing is set.
    """
    handler = signal.getsignal(signal.SIGTERM)  # uvicorn's own, until on_sigterm puts another there
    return asyncio.create_task(_settle(getattr(handler, "__self__", None), seconds))


async def _settle(server: Any, seconds: float) -> None:
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is None or server is None:
        return
    while not server.started:
        await asyncio.sleep(POLL_S)
    for listening in (one for some in server.servers for one in some.sockets):
        if listening.family in (socket.AF_INET, socket.AF_INET6):
            listening.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))
