"""service/steady_clock.py: the time of day as it was, and the seconds since."""

import time

import pytest

from service.steady_clock import SteadyClock
from tests.doubles import Hand


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
def test_it_counts_on_when_the_time_of_day_jumps(jump_s: float) -> None:
    wall, monotonic = Hand(1_800_000_000.0), Hand(50.0)
    clock = SteadyClock(wall, monotonic)
    assert clock() == 1_800_000_000.0
    wall.forward(jump_s)
    monotonic.forward(2.5)
    assert clock() == 1_800_000_002.5


def test_it_is_the_time_of_day() -> None:
    assert abs(SteadyClock()() - time.time()) < 1
