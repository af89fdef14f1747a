"""deploy/capacity and simulate.py: queueing against closed forms, scaling against its rules."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from deploy.capacity.day import play
from deploy.capacity.replicas import Fleet
from deploy.capacity.scaling import Autoscaled, ByCpu, ByWork, Fixed, Rule
from deploy.capacity.traffic import DAY_S, Day, arrivals, rates
from deploy.simulate import compare, read_measured, table

REQUESTS = 400_000
UNLIMITED = 10**9
Works = Callable[[int], np.ndarray]


def poisson(rate: float, count: int = REQUESTS, seed: int = 0) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))


def exponential(count: int) -> np.ndarray:
    return np.random.default_rng(1).exponential(1.0, count)


def constant(count: int) -> np.ndarray:
    return np.ones(count)


def mean_seconds(rate: float, works: Works, size: int) -> float:
    outcome = play(poisson(rate), works, Fixed(size), 0.0, UNLIMITED, first_size=size)
    return float(outcome.seconds.mean())


def erlang_c(rate: float, servers: int) -> float:
    """The mean wait in M/M/c with unit work: the least that any way of sending can reach."""
    busy = rate / servers
    terms = sum(rate**k / math.factorial(k) for k in range(servers))
    last = rate**servers / math.factorial(servers) / (1 - busy)
    return last / (terms + last) / (servers - rate)


@pytest.mark.parametrize("busy", [0.5, 0.8])
def test_one_replica_waits_as_m_m_1_and_m_d_1(busy: float) -> None:
    assert mean_seconds(busy, exponential, 1) == pytest.approx(1 / (1 - busy), rel=0.05)
    waits = busy / (2 * (1 - busy))  # Pollaczek-Khinchine
    assert mean_seconds(busy, constant, 1) == pytest.approx(1 + waits, rel=0.03)


@pytest.mark.parametrize("busy", [0.6, 0.9])
def test_several_replicas_wait_between_one_queue_and_chance(busy: float) -> None:
    waits = mean_seconds(3 * busy, exponential, 3) - 1
    one_queue, by_chance = erlang_c(3 * busy, 3), busy / (1 - busy)
    assert one_queue * 0.97 < waits < 0.7 * by_chance


def test_a_bounded_queue_refuses_as_m_m_1_k() -> None:
    busy, room = 0.9, 5
    outcome = play(poisson(busy), exponential, Fixed(1), 0.0, room, first_size=1)
    expected = (1 - busy) * busy**room / (1 - busy ** (room + 1))
    assert outcome.refused == pytest.approx(expected, rel=0.05)


def test_calls_in_flight_follow_littles_law() -> None:
    times, works = poisson(1.5), exponential(REQUESTS)
    fleet = Fleet(2, UNLIMITED)
    seen, seconds = [], []
    for now, work in zip(times.tolist(), works.tolist(), strict=True):
        seen.append(sum(one.in_flight(now) for one in fleet.replicas))  # arrivals see averages
        end = fleet.send(now, work)
        assert end is not None
        seconds.append(end - now)
    assert np.mean(seen) == pytest.approx(1.5 * np.mean(seconds), rel=0.03)


def test_replicas_cost_from_their_start_to_their_last_answer() -> None:
    fleet = Fleet(1, UNLIMITED)
    fleet.resize(2, 100.0, 30.0)
    assert len(fleet.ready(129.0)) == 1
    assert len(fleet.ready(130.0)) == 2
    fleet.send(130.0, 1.0)
    fleet.send(130.0, 50.0)  # on the new one
    fleet.resize(1, 140.0, 30.0)
    assert fleet.paid_s(150.0) == 150 + 50  # the leaving one still works
    fleet.resize(1, 200.0, 30.0)
    assert fleet.paid_s(300.0) == 300 + 100


def step_of_load(rule: Rule, start_s: float = 30.0) -> np.ndarray:
    """Replicas while the load jumps from one replica's half to that of six, for ten minutes."""
    calm, storm = poisson(0.5, 600), 1200 + poisson(6, 3600)
    outcome = play(
        np.concatenate([calm[calm < 1200], storm]), constant, rule, start_s, UNLIMITED, 1
    )
    return outcome.sizes


def test_cpu_sees_no_queue_and_work_does() -> None:
    until = int(120 / 15)  # two minutes into the storm
    before = int(1200 / 15)
    by_cpu = step_of_load(ByCpu(0.7, least=1))
    by_work = step_of_load(ByWork(1.5, least=1))
    assert by_work[before + until] > by_cpu[before + until]
    assert by_work[before:].max() >= 6
    assert by_cpu.max() <= 20


class Told(Autoscaled):
    """A rule that is told the load."""

    name = "told"
    now_busy = 0.0

    def load(self, fleet: Fleet, now: float) -> float:
        return self.now_busy


def test_scaling_up_is_bounded_and_scaling_down_waits_five_minutes() -> None:
    rule, fleet = Told(1.0, least=1), Fleet(8, UNLIMITED)
    rule.now_busy = 40
    assert rule.wanted(fleet, 0.0) == 16  # at most twice as many
    rule.now_busy = 8.5
    assert rule.wanted(fleet, 15.0) == 8  # within the tolerance, and never more than is wished
    rule.now_busy = 2
    assert rule.wanted(fleet, 290.0) == 8  # a wish for 20 is not five minutes old
    assert rule.wanted(fleet, 310.0) == 8  # nor the one for 8
    assert rule.wanted(fleet, 330.0) == 2
    rule.now_busy = 0
    assert rule.wanted(fleet, 700.0) == 1


def test_a_day_has_the_rates_that_it_was_given() -> None:
    flat = Day(5.0, swing=0.0, bursts=0)
    assert len(arrivals(flat, 0)) == pytest.approx(5.0 * DAY_S, rel=0.01)
    wavy = rates(Day(5.0, swing=0.8, bursts=0), 0)
    assert (wavy.min(), wavy.max()) == (pytest.approx(1.0), pytest.approx(9.0))
    assert rates(Day(5.0), 3).tolist() == rates(Day(5.0), 3).tolist()
    assert rates(Day(5.0), 3).tolist() != rates(Day(5.0), 4).tolist()


def test_an_hour_is_compared_with_the_measured_times() -> None:
    measured = read_measured()
    assert len(measured.work_s) >= 100
    outcomes = compare(Day(40.0, length_s=3600, bursts=1), 0, measured, measured.start_s)
    assert len({outcome.rule for outcome in outcomes}) == len(outcomes)
    assert len(table(outcomes).splitlines()) == 2 + len(outcomes)
    assert all(outcome.p50_s >= measured.work_s.min() for outcome in outcomes)
