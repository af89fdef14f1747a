"""The time of day without its jumps. Knows nothing about what is timed.

Jobs are kept for a time that outlives a process, so their times are seconds since 1970. But a clock
that is set by a day must not forget a result that a client still waits for: it is read once.
"""

import time
from collections.abc import Callable

Clock = Callable[[], float]


class SteadyClock:
    """Seconds since 1970, counted by the monotonic clock from when this was made."""

    def __init__(self, wall: Clock = time.time, monotonic: Clock = time.monotonic) -> None:
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def __call__(self) -> float:
        """The time now."""
        return self._offset + self._monotonic()
