"""SIGTERM: every accepted request is answered before a process goes. Knows no transport.

BentoML tells all processes at once to stop, so a request that still needs a runner would fail.
Here the API finishes what it accepted while it holds up the runners, and lets go of them then.
"""

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from service.engine import Engine
from service.runner_sockets import RunnerSockets

logger = logging.getLogger("gradctrl.service")

POLL_S = 0.05
LAST_CALLS_S = 0.3  # for connections that wait in the socket to be accepted
FIRST_REQUEST_S = 2.0  # for the first request of a connection to come, and to be refused in words
QUIET_S = 2.0  # a runner waits so long for a hold; alone, it goes after so long without a call


class Holds:
    """Who needs this runner through a SIGTERM, and until when."""

    def __init__(self, is_idle: Callable[[], bool], max_s: float) -> None:
        self._is_idle = is_idle
        self._max_s = max_s
        self._until: dict[str, float] = {}
        self._was_held = False

    def hold(self, holder: str, seconds: float) -> None:
        """Stay up for the holder; 0 seconds let go."""
        self._was_held = True
        if seconds > 0:
            self._until[holder] = time.monotonic() + seconds
        else:
            self._until.pop(holder, None)

    def watch_sigterm(self) -> None:
        """From now on a SIGTERM waits for the holders."""
        on_sigterm(self.wait_until_free)

    async def wait_until_free(self) -> None:
        """Return when nobody needs the runner, or the grace is over."""
        started = quiet_since = time.monotonic()
        while (now := time.monotonic()) - started < self._max_s:
            if not self._is_idle():
                quiet_since = now
            is_held = any(until > now for until in self._until.values())
            quiet_s = 0.0 if self._was_held else QUIET_S
            if not is_held and now - quiet_since >= quiet_s:
                return
            await asyncio.sleep(POLL_S)


class Drain:
    """The end of the API process: refuse new work, finish the accepted, let go of the runners."""

    def __init__(self, engine: Engine, sockets: RunnerSockets, grace_s: float, name: str) -> None:
        self._engine = engine
        self._sockets = sockets
        self._grace_s = grace_s
        self._name = name  # under which the runners know this process
        self._transports: list[Callable[[float], Awaitable[None]]] = []
        self._last: list[Callable[[], Awaitable[None]]] = []

    def stop_with(self, transport: Callable[[float], Awaitable[None]]) -> None:
        """Have a transport stop, within the grace, while accepted work goes on."""
        self._transports.append(transport)

    def before_end(self, step: Callable[[], Awaitable[None]]) -> None:
        """Have something stop that may still need the runners."""
        self._last.append(step)

    async def run(self) -> None:
        """Return when everything that was accepted is answered, or the grace is over."""
        self._engine.gate.close()
        keeping = asyncio.create_task(self._keep_sockets())
        try:
            await self._tell_runners(self._grace_s)
            for step in self._last:
                await step()
            waiting = [asyncio.ensure_future(stop(self._grace_s)) for stop in self._transports]
            waiting.append(asyncio.ensure_future(self._engine.gate.wait_until_empty()))
            await asyncio.wait(waiting, timeout=self._grace_s)
            await self._tell_runners(0)
        finally:
            keeping.cancel()
            self._sockets.remove()

    async def _tell_runners(self, seconds: float) -> None:
        """Hold up the runners, or let go of them; one that does not answer is not waited for."""
        try:
            async with asyncio.timeout(QUIET_S / 2):
                await self._engine.hold_runners(self._name, seconds)
        except Exception as error:
            logger.warning("a runner did not hear that the service stops: %r", error)

    async def _keep_sockets(self) -> None:
        while True:  # BentoML may delete them before this process is told to stop, or after
            self._sockets.restore()
            await asyncio.sleep(POLL_S)


def on_sigterm(drain: Callable[[], Awaitable[None]]) -> None:
    """On SIGTERM await `drain` on this loop, once, and then do what SIGTERM did before.

    Outside the main thread there are no signals, and nothing is installed.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    previous = signal.getsignal(signal.SIGTERM)
    tasks: list[asyncio.Task[None]] = []

    async def drain_and_stop() -> None:
        try:
            await drain()
        finally:
            _stop_listening(previous)
            await asyncio.sleep(LAST_CALLS_S)
            await _first_requests(previous)
            _call(previous, signal.SIGTERM)

    def begin() -> None:
        if not tasks:  # a second SIGTERM changes nothing
            tasks.append(loop.create_task(drain_and_stop()))

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin)

    signal.signal(signal.SIGTERM, handle)


def _stop_listening(handler: Any) -> None:
    """Have the kernel refuse connections, if the handler is that of a uvicorn server on a port.

    BentoML's parent process shares the socket: connections would be taken and never answered.
    Several workers of the API share it as well: then one of them is first. The socket of a port
    listens again as soon as a successor of this worker asks. The Unix socket of a runner never
    would, and needs it less: the API ends before its runners, a successor takes what waits.
    """
    for server in getattr(getattr(handler, "__self__", None), "servers", ()):
        for listening in server.sockets:
            if listening.family == socket.AF_UNIX:
                continue
            shared = socket.socket(fileno=os.dup(listening.fileno()))
            with shared, suppress(OSError):  # ENOTCONN: shut down already
                shared.shutdown(socket.SHUT_RDWR)


async def _first_requests(handler: Any) -> None:
    """Wait for connections without a request yet, if the handler is that of a uvicorn server.

    It would close them, and a client that is about to send could not tell whether it was heard.
    """
    state = getattr(getattr(handler, "__self__", None), "server_state", None)
    until = time.monotonic() + FIRST_REQUEST_S
    while state is not None and time.monotonic() < until:
        if all(connection.cycle is not None for connection in state.connections):
            return
        await asyncio.sleep(POLL_S)


def _call(handler: Any, number: int) -> None:
    if callable(handler):
        handler(number, None)
    else:
        signal.signal(number, handler)
        signal.raise_signal(number)
