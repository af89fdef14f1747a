"""One answer per idempotency key: retries get the answer of the first call, whatever it computes.

Knows nothing about transports. A caller's keys are its own: what others sent under the same key is
neither answered nor told. Keys live in this process; after their time, or under the pressure
of bytes, the oldest are forgotten.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from service.errors import ApiError

FIELD = "Idempotency-Key"
MAX_KEY_LENGTH = 255
CONFLICT_STATUS = 422

Answer = TypeVar("Answer")


@dataclass
class _First:
    """The first call of a key."""

    digest: str
    answer: "asyncio.Future[Any]"
    started: float
    size: int = 0


class Idempotency:
    """The answers of keys, within a number of bytes and a time."""

    def __init__(self, max_bytes: int, ttl_s: float) -> None:
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._kept: OrderedDict[str, _First] = OrderedDict()
        self._bytes = 0

    async def once(
        self,
        key: str | None,
        digest: str,
        work: Callable[[], Awaitable[Answer]],
        size_of: Callable[[Answer], int],
        caller: str = "",
    ) -> Answer:
        """The answer of the key's first call; of `work` without a key. Failures are not kept."""
        if key is None:
            return await work()
        expect_key(key)
        owned = owned_key(caller, key)
        self._forget_old()
        while (first := self._kept.get(owned)) is not None:
            if first.digest != digest:
                raise conflict(key)
            await asyncio.wait({first.answer})
            if not first.answer.cancelled() and first.answer.exception() is None:
                return first.answer.result()
        return await self._run(owned, digest, work, size_of)

    async def _run(
        self,
        key: str,
        digest: str,
        work: Callable[[], Awaitable[Answer]],
        size_of: Callable[[Answer], int],
    ) -> Answer:
        first = _First(digest, asyncio.get_running_loop().create_future(), time.monotonic())
        self._kept[key] = first
        try:
            answer = await work()
        except BaseException:
            del self._kept[key]
            first.answer.cancel()  # a waiting retry runs the work itself
            raise
        first.answer.set_result(answer)
        first.size = size_of(answer)
        self._bytes += first.size
        self._forget_old()
        return answer

    def _forget_old(self) -> None:
        """Drop finished calls that are too old, and the oldest while there are too many bytes."""
        oldest = time.monotonic() - self._ttl_s
        for key, first in list(self._kept.items()):
            if first.started > oldest and self._bytes <= self._max_bytes:
                return
            if first.answer.done():
                del self._kept[key]
                self._bytes -= first.size


def expect_key(key: str) -> None:
    """Raise unless the key is a printable text of a sensible length."""
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        message = f"a key has 1 to {MAX_KEY_LENGTH} printable characters"
        raise ApiError("bad_request", message, FIELD, [1, MAX_KEY_LENGTH])


def owned_key(caller: str, key: str) -> str:
    """A key among those of all callers: no key has a line break, so none is another caller's."""
    return f"{caller}\n{key}" if caller else key


def conflict(key: str) -> ApiError:
    """The refusal of a key that came with another request before."""
    message = f"key {key!r} was used for another request; use a new key"
    return ApiError("bad_request", message, FIELD, status=CONFLICT_STATUS)
