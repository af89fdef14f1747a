"""All processes of one runner behind one handle: the least busy is asked, a lost one replaced.

A Kubernetes service would spread connections, not calls, and BentoML keeps its connections. Every
method of a runner is a pure function, so a call whose process went away is asked again, once.
Knows nothing about what is asked.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Any

import aiohttp

from service import metrics
from service.endpoints import Connect, Endpoint, Resolve, resolver
from service.errors import ApiError, raise_refusal
from service.tracing import runner_span

PROBE_EVERY_S = 1.0
PROBE_AWAY_EVERY_S = 0.2  # while no process can be asked: a start is over as soon as one answers
TO_ALL = ("cancel", "hold", "keep")  # of what any process may know; one that is away need not

logger = logging.getLogger("gradctrl.service")


class LostError(Exception):
    """The process went away while it worked on a call."""


class RunnerPool:
    """The runner as the engine calls it: `await pool.walk(payload)`."""

    def __init__(self, name: str, resolve: Resolve, connect: Connect) -> None:
        self._name = name
        self._resolve = resolve
        self._connect = connect
        self._endpoints: dict[str, Endpoint] = {}
        self._watching: asyncio.Task[None] | None = None  # asyncio holds no task
        self._retries = metrics.RUNNER_RETRIES.labels(name)  # a series from the start, for rates

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses that are known now."""
        return tuple(self._endpoints)

    @property
    def is_available(self) -> bool:
        """Whether a process can be asked, as far as is known; needs no network."""
        return any(endpoint.is_available for endpoint in self._endpoints.values())

    async def start(self) -> None:
        """Find the processes, and watch them from now on."""
        await self.refresh()
        self._watching = asyncio.create_task(self._watch())

    def __getattr__(self, method: str) -> Any:
        """What asks a method of the runner."""
        if method.startswith("_"):
            raise AttributeError(method)
        ask = self._ask_all if method in TO_ALL else self._ask_traced
        return lambda payload: ask(method, payload)

    async def ask_every(self, method: str, payload: dict[str, Any]) -> None:
        """Have all processes do something; ApiError unless each of them did."""
        asked = self._available() or self._silent()
        if not asked:
            raise self._unreachable()
        calls = (_insist(endpoint, method, payload) for endpoint in asked)
        try:
            for answer in await asyncio.gather(*calls):
                raise_refusal(answer)
        except aiohttp.ClientError as error:
            logger.warning("the %s runner failed to %s: %r", self._name, method, error)
            raise self._unreachable() from error

    async def refresh(self) -> None:
        """Look up the addresses again and ask each process whether it is ready."""
        try:
            found = await asyncio.to_thread(self._resolve)
        except OSError as error:
            found = tuple(self._endpoints)  # a name server that is away says nothing of runners
            logger.warning("the addresses of the %s runner are unknown: %s", self._name, error)
        for url in found:
            if url not in self._endpoints:
                self._endpoints[url] = Endpoint(url, self._connect(url))
            self._endpoints[url].is_leaving = False
        for url in set(self._endpoints) - set(found):
            await self._drop(self._endpoints[url])
        await asyncio.gather(*(endpoint.probe() for endpoint in self._endpoints.values()))
        available = sum(endpoint.is_available for endpoint in self._endpoints.values())
        metrics.RUNNERS_AVAILABLE.labels(self._name).set(available)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(PROBE_EVERY_S if self.is_available else PROBE_AWAY_EVERY_S)
            try:
                await self.refresh()
            except Exception:
                logger.exception("watching the %s runner failed", self._name)

    async def _drop(self, endpoint: Endpoint) -> None:
        """Forget an address once its calls are answered: its process may be finishing them."""
        endpoint.is_leaving = True
        if endpoint.in_flight and not endpoint.away.is_set():
            return
        del self._endpoints[endpoint.url]
        endpoint.away.set()
        await endpoint.client.close()

    async def _ask_all(self, method: str, payload: dict[str, Any]) -> None:
        calls = (endpoint.call(method, payload) for endpoint in self._available())
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(outcome, asyncio.CancelledError):
                raise outcome

    async def _ask_traced(self, method: str, payload: dict[str, Any]) -> Any:
        with runner_span(self._name, method):
            return await self._ask_one(method, payload)

    async def _ask_one(self, method: str, payload: dict[str, Any]) -> Any:
        """The answer of one process: refused connections are tried elsewhere, a loss once."""
        tried: set[str] = set()
        lost: set[str] = set()
        while True:
            endpoint = self._choose(tried, lost)
            try:
                return await self._call(endpoint, method, payload)
            except aiohttp.ClientConnectorError:
                tried.add(endpoint.url)
                endpoint.away.set()
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, LostError) as error:
                if lost:
                    raise self._unreachable() from error
                lost.add(endpoint.url)
            self._retries.inc()

    async def _call(self, endpoint: Endpoint, method: str, payload: dict[str, Any]) -> Any:
        """The answer of an endpoint; LostError when it goes away and another one could be asked."""
        call = asyncio.ensure_future(endpoint.call(method, payload))
        away = asyncio.ensure_future(endpoint.away.wait())
        try:
            await asyncio.wait({call, away}, return_when=asyncio.FIRST_COMPLETED)
            if not call.done() and self.is_available:
                raise LostError(endpoint.url)
            return await call
        finally:
            away.cancel()
            call.cancel()  # nothing to a task that is done

    def _choose(self, tried: set[str], lost: set[str]) -> Endpoint:
        """The least busy endpoint that was not tried, in turns among equals.

        One that was lost is asked again only where there is no other: its idle connections are
        dead as well. One that is silent is better than none.
        """
        left = [one for one in self._endpoints.values() if one.url not in tried]
        available = [one for one in left if one.is_available]
        others = [one for one in available if one.url not in lost]
        some = others or available or [one for one in self._silent() if one in left]
        if not some:
            raise self._unreachable()
        return min(some, key=lambda one: (one.in_flight, one.used))

    def _available(self) -> Sequence[Endpoint]:
        return [one for one in self._endpoints.values() if one.is_available]

    def _silent(self) -> Sequence[Endpoint]:
        return [one for one in self._endpoints.values() if one.is_silent]

    def _unreachable(self) -> ApiError:
        return ApiError("overloaded", f"no {self._name} runner can be reached; try again")


async def _insist(endpoint: Endpoint, method: str, payload: dict[str, Any]) -> Any:
    """The answer of a process; asked twice, as an idle connection dies with an earlier process."""
    try:
        return await endpoint.call(method, payload)
    except aiohttp.ClientConnectionError:
        return await endpoint.call(method, payload)


def pool_of(name: str, url: str, connect: Connect) -> RunnerPool:
    """The pool of all processes behind the URL that BentoML was told."""
    return RunnerPool(name, resolver(url, _addresses), connect)


def _addresses(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
