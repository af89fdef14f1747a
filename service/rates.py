"""How often each caller may call: a moving window, on a clock that nobody sets.

Libraries count by the time of day; set back by a day, it would lock every caller out for that long.
Knows nothing about who callers are.
"""

import time
from collections import OrderedDict, deque

from service.steady_clock import Clock


class MovingWindow:
    """At most so many calls of one caller within any stretch of so many seconds."""

    def __init__(self, amount: int, seconds: float, now: Clock = time.monotonic) -> None:
        self._amount = amount
        self._seconds = seconds
        self._now = now
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()  # the latest caller last

    @property
    def callers(self) -> int:
        """How many callers are remembered: those of the last window."""
        return len(self._calls)

    def wait_s(self, caller: str) -> float:
        """0 for a call that may be made, and is counted; else the seconds until one may."""
        now = self._now()
        begins = now - self._seconds
        self._forget(begins)
        calls = self._calls.setdefault(caller, deque())
        while calls and calls[0] <= begins:
            calls.popleft()
        if len(calls) >= self._amount:
            return calls[0] + self._seconds - now
        calls.append(now)
        self._calls.move_to_end(caller)
        return 0.0

    def _forget(self, begins: float) -> None:
        """Drop the callers whose last call is out of the window."""
        while self._calls:
            caller, calls = next(iter(self._calls.items()))
            if calls[-1] > begins:
                return
            del self._calls[caller]
