"""When requests arrive in a day: a wave over the hours with bursts on it. Knows no server."""

from dataclasses import dataclass

import numpy as np

DAY_S = 86_400


@dataclass(frozen=True)
class Day:
    """The shape of a day."""

    mean_rate: float  # requests a second, without bursts
    swing: float = 0.8  # of the wave, relative to the mean: night has 0.2, midday 1.8 times it
    bursts: int = 8
    burst_factor: float = 4.0  # at most; a burst multiplies the rate by 2 to this
    burst_s: tuple[float, float] = (120.0, 900.0)  # length, shortest and longest
    length_s: int = DAY_S


def rates(day: Day, seed: int) -> np.ndarray:
    """Requests a second for every second of the day, [length_s]."""
    random = np.random.default_rng(seed)
    seconds = np.arange(day.length_s)
    wave = day.mean_rate * (1 - day.swing * np.cos(2 * np.pi * seconds / DAY_S))
    factor = np.ones(day.length_s)
    for _ in range(day.bursts):
        start = random.uniform(0, day.length_s)
        length = random.uniform(*day.burst_s)
        height = random.uniform(2.0, day.burst_factor)
        factor[int(start) : int(start + length)] = height  # as when a link is shared: at once
    return wave * factor


def arrivals(day: Day, seed: int) -> np.ndarray:
    """Arrival times in seconds, ascending: a Poisson process of the day's rates."""
    random = np.random.default_rng(seed + 1)
    counts = random.poisson(rates(day, seed))
    times = np.repeat(np.arange(day.length_s), counts) + random.random(counts.sum())
    return np.sort(times)
