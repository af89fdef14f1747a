"""Plays a day of traffic under several scaling rules: the tables and plots of docs/capacity.md.

Service times are those that deploy/capacity/measure.py wrote. Their spread is that of the waits for
the generator; their mean is the CPU time of an edit, because the machine that was measured had
other work, and because a replica has a core of its own.

    python -m deploy.simulate [--seed 0] [--mean-rate 40] [--output docs]
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from deploy.capacity.day import Outcome, play
from deploy.capacity.measure import FILE
from deploy.capacity.scaling import ByCpu, ByWork, Fixed, Rule
from deploy.capacity.traffic import Day, arrivals, rates

MAX_IN_FLIGHT = 2 * 256  # two API pods with the default of GRADCTRL_MAX_IN_FLIGHT
MODELLED_STARTS_S = (None, 120.0)  # measured, and a node or an image that must come first
SMOOTH_S = 60
PLOTTED = ("CPU 70% (HPA)", "CPU 40% (HPA)", "in flight + waiting 0.7 (KEDA)")
COLOURS = {"(HPA)": "tab:red", "(KEDA)": "tab:blue"}


@dataclass(frozen=True)
class Measured:
    """What was measured of one generator."""

    work_s: np.ndarray  # [edits]
    start_s: float

    @property
    def mean_s(self) -> float:
        """Seconds of an edit."""
        return float(self.work_s.mean())


def read_measured(file: Path = FILE) -> Measured:
    """The figures of the file."""
    figures = json.loads(file.read_text())
    waits = np.array(figures["render_ms"])
    work = waits / waits.mean() * figures["generator_cpu_s_per_edit"]
    return Measured(work, float(np.median(figures["generator_start_s"])))


def sampler(measured: Measured, seed: int) -> Callable[[int], np.ndarray]:
    """What draws service times, the same for every rule."""
    return lambda count: np.random.default_rng(seed).choice(measured.work_s, count)


def rules(day_rates: np.ndarray, mean_s: float) -> list[Callable[[], Rule]]:
    """The rules of the tables; fixed ones for the mean and for the highest rate, 70 % busy."""
    for_mean, for_peak = (
        int(np.ceil(rate * mean_s / 0.7)) for rate in (day_rates.mean(), day_rates.max())
    )
    made: list[Callable[[], Rule]] = [partial(Fixed, for_mean), partial(Fixed, for_peak)]
    made += [partial(ByCpu, target) for target in (0.7, 0.5, 0.4, 0.3)]
    # As with a GPU, or with a generous request: a busy replica never looks busy.
    made += [partial(ByCpu, 0.7, cpu_when_busy=0.6)]
    made += [partial(ByWork, target, counts_waiting=False) for target in (2.0, 1.0, 0.7)]
    made += [partial(ByWork, target) for target in (2.0, 1.0, 0.7, 0.5)]
    return made


def compare(day: Day, seed: int, measured: Measured, start_s: float) -> list[Outcome]:
    """An outcome per rule, all with the same requests."""
    times = arrivals(day, seed)
    return [
        play(times, sampler(measured, seed), rule(), start_s, MAX_IN_FLIGHT)
        for rule in rules(rates(day, seed), measured.mean_s)
    ]


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown, a row per rule."""
    lines = [
        "| rule | replica hours | most replicas | p50 ms | p99 ms | above 2 s | refused |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.rule} | {one.replica_hours:.0f} | {one.most_replicas} | {one.p50_s * 1000:.0f} "
        f"| {one.p99_s * 1000:.0f} | {one.slow:.2%} | {one.refused:.2%} |"
        for one in outcomes
    ]
    return "\n".join(lines)


def plot(day_rates: np.ndarray, outcomes: Sequence[Outcome], mean_s: float, file: Path) -> None:
    """Cost against p99 of all rules; replicas over the day of the ones that cost about the same."""
    import matplotlib.pyplot as plt

    shown = [one for one in outcomes if one.rule in PLOTTED]
    heights = [3.0, *(1.0 for _ in shown)]
    size, ratios = (9, 5 + 1.6 * len(shown)), {"height_ratios": heights}
    figure, axes = plt.subplots(len(heights), 1, figsize=size, gridspec_kw=ratios)
    for one in outcomes:
        colour = COLOURS.get(one.rule.split()[-1], "black")
        axes[0].scatter(one.replica_hours, one.p99_s, color=colour)
        name = one.rule.removesuffix(" (KEDA)").removesuffix(" (HPA)")
        axes[0].annotate(name, (one.replica_hours, one.p99_s), fontsize=7, rotation=40)
    axes[0].set(yscale="log", xlabel="replica hours", ylabel="p99 of an edit, s")
    needed = day_rates.reshape(-1, SMOOTH_S).mean(axis=1) * mean_s
    for axis, one in zip(axes[1:], shown, strict=True):
        axis.fill_between(np.linspace(0, 24, len(needed)), needed, color="#bbbbbb")
        axis.step(np.linspace(0, 24, len(one.sizes)), one.sizes, lw=1)
        axis.set_title(f"{one.rule}: replicas, and (grey) those kept busy", fontsize=9, loc="left")
        axis.set_ylim(0, max(needed.max(), one.sizes.max()) * 1.15)
    axes[-1].set_xlabel("hour of the day")
    figure.tight_layout()
    figure.savefig(file, dpi=80)
    plt.close(figure)


def main() -> None:
    """Print the tables and write the plot of the first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mean-rate", type=float, default=40.0, help="edits a second")
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    options = parser.parse_args()
    measured, day = read_measured(), Day(options.mean_rate)
    print(f"{measured.mean_s * 1000:.1f} ms of work an edit; day of {options.mean_rate:g}/s")
    for start_s in MODELLED_STARTS_S:
        start_s = start_s or measured.start_s
        outcomes = compare(day, options.seed, measured, start_s)
        print(f"\nA replica takes calls after {start_s:.0f} s:\n\n{table(outcomes)}")
        name = f"capacity-{start_s:.0f}s.png"
        plot(rates(day, options.seed), outcomes, measured.mean_s, options.output / name)


if __name__ == "__main__":
    main()
