"""Kills runners under load, again and again: what clients got, and how soon all was well.

Knows nothing about how a layout starts, or what clients ask.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from benchmarks.faults.checked_load import RIGHT, UNTYPED, WRONG, CheckedLoad, Outcome
from benchmarks.faults.layouts import Layout, available
from tests.pods import seconds_until

BACK_S = 120.0  # longest time until a killed runner is there again
CALM_S = (0.2, 1.0)  # between two kills
NOT_TYPED = (RIGHT, WRONG, UNTYPED)


@dataclass(frozen=True)
class Kill:
    """One kill and how long its traces were seen."""

    runner: str
    answer_s: float  # until a right answer to a request sent after it that needs such a runner
    back_s: float  # until the new processes are there and the API can ask every one
    api_mb: float  # memory of the API then


@dataclass
class Figures:
    """What a soak found."""

    kills: list[Kill] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    hangs: int = 0
    slowest_s: float = 0.0
    api_mb: tuple[float, float] = (0.0, 0.0)  # before, after

    @property
    def right(self) -> int:
        """Answers that were those of the undisturbed service, byte for byte."""
        return self.verdicts[RIGHT]

    @property
    def wrong(self) -> int:
        """Other answers, and errors without a code."""
        return self.verdicts[WRONG] + self.verdicts[UNTYPED]

    @property
    def typed(self) -> dict[str, int]:
        """Errors by code."""
        return {name: n for name, n in self.verdicts.items() if name not in NOT_TYPED}

    def row(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "kills": len(self.kills),
            "right": self.right,
            "wrong": self.wrong,
            "typed": self.typed,
            "hangs": self.hangs,
            "slowest_s": self.slowest_s,
            "api_mb": self.api_mb,
            "recovery": recovery(self.kills),
            "each": [asdict(kill) for kill in self.kills],
        }


def recovery(kills: Sequence[Kill]) -> dict[str, dict[str, float]]:
    """Median and most of the seconds, for each kind of runner that was killed."""
    found: dict[str, dict[str, float]] = {}
    for kind in sorted({kind_of(kill.runner) for kill in kills}):
        some = [kill for kill in kills if kind_of(kill.runner) == kind]
        answer, back = [k.answer_s for k in some], [k.back_s for k in some]
        found[kind] = {
            "kills": len(some),
            "answer_p50_s": median(answer),
            "answer_max_s": max(answer),
            "back_p50_s": median(back),
            "back_max_s": max(back),
        }
    return found


def kind_of(runner: str) -> str:
    """`generator` of `generator-1`."""
    return runner.partition("-")[0]


class Soak:
    """Kills chosen by a seed; the same seed kills the same runners in the same order."""

    def __init__(self, layout: Layout, load: CheckedLoad, seed: int, at_once: int = 1) -> None:
        self._layout = layout
        self._load = load
        self._random = random.Random(seed)
        self._at_once = at_once
        self._whole = available(layout.url)
        self._before_mb = layout.api_mb()
        self._kills: list[Kill] = []

    def run(self, kills: int, until: float, on_kill: Callable[[Figures], None]) -> None:
        """Kill so many times, or until a time of the monotonic clock, or a KeyboardInterrupt."""
        try:
            while len(self._kills) < kills and time.monotonic() < until:
                time.sleep(self._random.uniform(*CALM_S))
                some = self._random.sample(self._layout.runners, self._at_once)
                self._kills += self._kill(some)
                on_kill(self.figures())
        except KeyboardInterrupt:
            return

    def figures(self) -> Figures:
        """What was found so far."""
        slowest = max((one.seconds for one in list(self._load.outcomes)), default=0.0)
        memory = (self._before_mb, self._layout.api_mb())
        return Figures(list(self._kills), self._load.verdicts, self._load.hangs, slowest, memory)

    def _kill(self, runners: Sequence[str]) -> list[Kill]:
        """Kill some at once, and wait for all of them."""
        seen, killed = len(self._load.outcomes), time.monotonic()
        for runner in runners:
            self._layout.kill(runner)
        for runner in runners:
            seconds_until(lambda runner=runner: self._layout.is_back(runner), BACK_S)
        seconds_until(lambda: available(self._layout.url) == self._whole, BACK_S)
        back_s = time.monotonic() - killed
        memory = self._layout.api_mb()
        return [Kill(one, self._answered(one, seen, killed), back_s, memory) for one in runners]

    def _answered(self, runner: str, seen: int, killed: float) -> float:
        """Seconds until a right answer that needed such a runner and was asked for since."""

        def recovers(outcome: Outcome) -> bool:
            is_after = outcome.sent >= killed and outcome.verdict == RIGHT
            return is_after and kind_of(runner) in outcome.needs

        seconds_until(lambda: self._load.first(seen, recovers) is not None, BACK_S)
        first = self._load.first(seen, recovers)
        assert first is not None
        return first.sent + first.seconds - killed
