"""Generator replicas as queues: each works on one batch at a time, first come first served.

A call goes to the ready replica with the fewest calls, as service/runner_pool.py does. Knows
nothing about why replicas come and go.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass
class Replica:
    """One process: made now, ready later, leaving when its last call is answered."""

    made_s: float
    ready_s: float
    ends: deque[float] = field(default_factory=deque)  # when its calls will be answered
    free_s: float = 0.0  # when it has answered all that it has
    assigned_s: float = 0.0  # of work so far

    def in_flight(self, now: float) -> int:
        """Calls that it has accepted and not answered."""
        while self.ends and self.ends[0] <= now:
            self.ends.popleft()
        return len(self.ends)

    def accept(self, now: float, work_s: float) -> float:
        """When the call will be answered."""
        self.free_s = max(self.free_s, now) + work_s
        self.assigned_s += work_s
        self.ends.append(self.free_s)
        return self.free_s

    def busy_s(self, now: float) -> float:
        """Seconds of work done until now."""
        return self.assigned_s - max(self.free_s - now, 0.0)


class Fleet:
    """All replicas, with what they cost."""

    def __init__(self, size: int, max_in_flight: int, now: float = 0.0) -> None:
        self.replicas = [Replica(now, now) for _ in range(size)]
        self._leaving: list[Replica] = []
        self._max_in_flight = max_in_flight
        self._paid_s = 0.0  # by replicas that are gone

    def ready(self, now: float) -> list[Replica]:
        """Replicas that take calls."""
        return [one for one in self.replicas if one.ready_s <= now]

    def send(self, now: float, work_s: float) -> float | None:
        """When a call will be answered; None if it is refused."""
        least, fewest, total = None, 0, 0
        for replica in self.replicas:
            if replica.ready_s > now:
                continue
            calls = replica.in_flight(now)
            total += calls
            if least is None or calls < fewest:
                least, fewest = replica, calls
        for replica in self._leaving:
            total += replica.in_flight(now)
        if least is None or total >= self._max_in_flight:
            return None
        return least.accept(now, work_s)

    def resize(self, size: int, now: float, start_s: float) -> None:
        """Make replicas that are ready after `start_s`, or let the youngest go."""
        while len(self.replicas) < size:
            self.replicas.append(Replica(now, now + start_s))
        while len(self.replicas) > size:
            self._leaving.append(self.replicas.pop())
        self._settle(now)

    def _settle(self, now: float) -> None:
        for replica in [one for one in self._leaving if one.free_s <= now]:
            self._leaving.remove(replica)
            self._paid_s += max(now, replica.made_s) - replica.made_s

    def paid_s(self, now: float) -> float:
        """Seconds of replicas until now, starting and leaving ones among them."""
        running = (*self.replicas, *self._leaving)
        return self._paid_s + sum(now - replica.made_s for replica in running)
