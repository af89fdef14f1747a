"""Who may work at once, over all transports. Knows nothing about requests.

A call that waits for its reader lends its place to others, so that readers who are slow, or never
read, keep nobody else from working. What was rendered for them lies in memory meanwhile: there are
as many places for streams as for calls, and a stream has one until its end.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import TypeVar

from service.errors import ApiError

Event = TypeVar("Event")


class Gate:
    """Counts the calls in flight, refuses above a number, and closes when the service stops."""

    def __init__(self, max_in_flight: int) -> None:
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._lent = 0  # of those in flight
        self._streams = 0
        self._is_closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def is_closed(self) -> bool:
        """Whether the service is stopping."""
        return self._is_closed

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A place for one call, or an ApiError at once."""
        self.expect_open()
        if self._in_flight - self._lent >= self._max_in_flight:
            raise ApiError("overloaded", "too many requests in flight; try again")
        self._in_flight += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._empty.set()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """The place of an admitted call is another's meanwhile.

        It has it back at once, even as one too many: what was begun is not refused.
        """
        self._lent += 1
        try:
            yield
        finally:
            self._lent -= 1

    async def streamed(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        """The events for a reader that may be slow, or an ApiError at once."""
        if self._streams >= self._max_in_flight:
            raise ApiError("overloaded", "too many streams are being read; try again")
        self._streams += 1
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
        finally:
            self._streams -= 1

    def expect_open(self) -> None:
        """Raise when the service is stopping."""
        if self._is_closed:
            message = "the service is stopping; try again elsewhere"
            raise ApiError("overloaded", message, headers={"Connection": "close"})

    def close(self) -> None:
        """Refuse every call from now on."""
        self._is_closed = True

    async def wait_until_empty(self) -> None:
        """Return when no call is in flight."""
        await self._empty.wait()
