"""Scaling rules as a Kubernetes autoscaler applies them every 15 seconds. Knows no traffic.

What the autoscaler sees is old: CPU is the mean of a minute that ended a scrape ago, gauges are the
mean of the last four scrapes.
"""

import math
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field

from deploy.capacity.replicas import Fleet

EVERY_S = 15.0
TOLERANCE = 0.1  # of the autoscaler: smaller differences change nothing
CALM_S = 300.0  # stabilization of scaling down
SAMPLES = 4  # of a minute


class Rule(ABC):
    """How many replicas there should be."""

    name: str

    @abstractmethod
    def wanted(self, fleet: Fleet, now: float) -> int:
        """The number for now; called once every EVERY_S."""


@dataclass
class Fixed(Rule):
    """Always the same."""

    size: int

    def __post_init__(self) -> None:
        self.name = f"fixed {self.size}"

    def wanted(self, fleet: Fleet, now: float) -> int:
        """That size."""
        return self.size


@dataclass
class Autoscaled(Rule):
    """The algorithm of the HorizontalPodAutoscaler around a measure of load."""

    target: float  # load of one replica
    least: int = 2
    most: int = 20
    _history: deque[tuple[float, int]] = field(default_factory=deque)

    @abstractmethod
    def load(self, fleet: Fleet, now: float) -> float:
        """Load of all ready replicas together."""

    def wanted(self, fleet: Fleet, now: float) -> int:
        """Up at once within the growth, down to the largest wish of five minutes."""
        size = len(fleet.replicas)
        ratio = self.load(fleet, now) / (self.target * size)
        wish = size if abs(ratio - 1) <= TOLERANCE else math.ceil(ratio * size - 1e-9)
        wish = max(self.least, min(self.most, wish))
        self._history.append((now, wish))
        while self._history[0][0] < now - CALM_S:
            self._history.popleft()
        calm = max(wish for _, wish in self._history)
        if calm > size:
            return min(max(wish, size), max(2 * size, size + 4))  # the default policies
        return calm


@dataclass
class ByCpu(Autoscaled):
    """The share of a minute in which replicas worked: 1 at most, however long their queues."""

    cpu_when_busy: float = 1.0  # of the CPU that a replica requests
    _busy: dict[int, deque[tuple[float, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name = f"CPU {self.target:.0%} (HPA)"
        if self.cpu_when_busy < 1:
            self.name += f", busy at {self.cpu_when_busy:.0%}"

    def load(self, fleet: Fleet, now: float) -> float:
        """Sum of the busy shares of the minute that ended a scrape ago."""
        total = 0.0
        for replica in fleet.ready(now):
            seen = self._busy.setdefault(id(replica), deque(maxlen=SAMPLES + 2))
            seen.append((now, replica.busy_s(now)))
            if len(seen) >= 3:  # the newest is not scraped yet
                (since, before), (until, after) = seen[0], seen[-2]
                total += (after - before) / (until - since) * self.cpu_when_busy
        return total


@dataclass
class ByWork(Autoscaled):
    """Calls in flight, and the waiting ones a second time if `counts_waiting`."""

    counts_waiting: bool = True
    _samples: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def __post_init__(self) -> None:
        what = "in flight + waiting" if self.counts_waiting else "in flight"
        self.name = f"{what} {self.target:g} (KEDA)"

    def load(self, fleet: Fleet, now: float) -> float:
        """The mean of the last four scrapes."""
        calls = [replica.in_flight(now) for replica in fleet.ready(now)]
        waiting = sum(max(count - 1, 0) for count in calls) if self.counts_waiting else 0
        self._samples.append(sum(calls) + waiting)
        return sum(self._samples) / len(self._samples)
