"""Who may work at once, over all transports. Knows nothing about requests."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import ApiError


class Gate:
    """Counts the calls in flight, refuses above a number, and closes when the service stops."""

    def __init__(self, max_in_flight: int) -> None:
        self._max_in_flight = max_in_flight
        self._in_flight = 0
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
        if self._in_flight >= self._max_in_flight:
            raise ApiError("overloaded", "too many requests in flight; try again")
        self._in_flight += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._empty.set()

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
