"""Plays the arrivals of a day against a fleet and a rule; answers what came of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deploy.capacity.replicas import Fleet
from deploy.capacity.scaling import EVERY_S, Rule

SLOW_S = 2.0


@dataclass(frozen=True)
class Outcome:
    """A day under one rule."""

    rule: str
    replica_hours: float
    most_replicas: int
    p50_s: float
    p99_s: float
    slow: float  # share of the answers above SLOW_S
    refused: float  # share of the requests
    seconds: np.ndarray  # [answers], how long each took
    sizes: np.ndarray  # [steps], replicas at each step of the autoscaler


def play(
    times: np.ndarray,  # [requests], seconds, ascending
    work_s: Callable[[int], np.ndarray],  # so many service times
    rule: Rule,
    start_s: float,
    max_in_flight: int,
    first_size: int = 2,
) -> Outcome:
    """The outcome; a replica takes calls `start_s` after it was asked for."""
    works = work_s(len(times))
    fleet = Fleet(first_size, max_in_flight)
    fleet.resize(rule.wanted(fleet, 0.0), 0.0, 0.0)
    answered: list[float] = []
    sizes: list[int] = []
    step = EVERY_S
    for now, work in zip(times.tolist(), works.tolist(), strict=True):
        while step <= now:
            fleet.resize(rule.wanted(fleet, step), step, start_s)
            sizes.append(len(fleet.replicas))
            step += EVERY_S
        end = fleet.send(now, work)
        if end is not None:
            answered.append(end - now)
    seconds = np.array(answered)
    p50, p99 = np.percentile(seconds, [50, 99])
    return Outcome(
        rule.name,
        fleet.paid_s(step) / 3600,
        max(sizes, default=first_size),
        float(p50),
        float(p99),
        float((seconds > SLOW_S).mean()),
        1 - len(seconds) / len(times),
        seconds,
        np.array(sizes),
    )
