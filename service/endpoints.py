"""One process of a runner as the API sees it: how busy, and whether it answers.

Knows nothing about how one of several is chosen, nor what is asked.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp

PROBE_TIMEOUT_S = 2
MISSES = 3  # of probes that time out until a process counts as hung: a busy one may be late


class RunnerClient(Protocol):
    """The async client of BentoML for one address."""

    async def call(self, name: str, payload: dict[str, Any]) -> Any:
        """The answer of a method."""

    async def is_ready(self, timeout: int | None = None) -> bool:
        """Whether the process answers that it is ready."""

    async def close(self) -> None:
        """Close its connections."""


Connect = Callable[[str], RunnerClient]
Resolve = Callable[[], Sequence[str]]


@dataclass
class Endpoint:
    """An address, with what is known of the process behind it."""

    url: str
    client: RunnerClient
    in_flight: int = 0
    used: float = 0.0  # when it was asked last, for turns
    away: asyncio.Event = field(default_factory=asyncio.Event)
    is_leaving: bool = False  # no longer among the addresses; it finishes what it has
    _misses: int = 0
    _has_answered: bool = False

    @property
    def is_available(self) -> bool:
        """Whether to ask it: it answered last time, and stays."""
        return not self.is_leaving and not self.away.is_set()

    @property
    def is_silent(self) -> bool:
        """Whether it is away only because its probes were not answered in time."""
        return self.away.is_set() and self._misses > 0

    async def call(self, method: str, payload: dict[str, Any]) -> Any:
        """The answer of the process; counted while it is under way."""
        self.in_flight += 1
        self.used = time.monotonic()
        try:
            return await self.client.call(method, payload)
        finally:
            self.in_flight -= 1

    async def probe(self) -> None:
        """Ask whether it is ready: a refusal counts at once, silence after some probes.

        Silence counts at once too while it has never answered: it is still starting.
        """
        try:
            is_ready = await self.client.is_ready(PROBE_TIMEOUT_S)
        except TimeoutError:
            self._misses += 1
            if self._misses >= MISSES or not self._has_answered:
                self.away.set()
            return
        except (aiohttp.ClientError, OSError):
            is_ready = False
        self._misses = 0
        if is_ready:
            self._has_answered = True
            self.away.clear()
        else:
            self.away.set()


def resolver(url: str, resolve_host: Callable[[str, int], Sequence[str]]) -> Resolve:
    """What answers the addresses behind a URL, now.

    A comma separates fixed addresses. A host name stands for all its addresses, as those of a
    headless Kubernetes service. The address of a Unix socket is itself.
    """
    if "," in url:
        fixed = tuple(part.strip() for part in url.split(",") if part.strip())
        return lambda: fixed
    parts = urlsplit(url)
    if parts.scheme not in ("http", "tcp") or parts.hostname is None:
        return lambda: (url,)
    host, port = parts.hostname, parts.port or 80

    def resolve() -> Sequence[str]:
        hosts = (f"[{one}]" if ":" in one else one for one in resolve_host(host, port))
        return tuple(f"http://{one}:{port}" for one in sorted(set(hosts)))

    return resolve
