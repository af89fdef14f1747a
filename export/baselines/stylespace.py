"""StyleSpace's candidates: the style channels in which the positives of a class stand out.

The ranking needs 10 to 30 positives and no negatives (Wu et al. 2021, section 4.2); which of the
first channels to move, the paper leaves to people who look at pictures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from editing.baselines import channel_steps, rank_channels
from export.baselines.choosing import Candidate, Chosen, Validation, choose, run_trial
from model_store import StyledGenerator, movable_channels, style_vectors

POPULATION = 2000  # samples of the bank behind means and standard deviations
MAX_POSITIVES = 30
SINGLES = 10  # channels tried one by one
GROUPS = (3, 10)  # the best so many channels together
DEVIATIONS = (2.0, 5.0, 10.0, 20.0)  # how far a candidate is tried
_CHUNK = 512
Report = Callable[[str, int, int], None]  # what, done, in all


@dataclass(frozen=True)
class StylePopulation:
    """Style channels over unlabelled samples."""

    mean: Tensor  # [S]
    deviation: Tensor  # [S]
    movable: Tensor  # [S], bool


def style_population(generator: StyledGenerator, latents: np.ndarray) -> StylePopulation:
    """Mean and deviation of each style channel over the first samples [N, L, C] of a bank."""
    parts = [
        style_vectors(generator, torch.from_numpy(np.array(latents[first : first + _CHUNK])))
        for first in range(0, min(len(latents), POPULATION), _CHUNK)
    ]
    styles = torch.cat(parts)
    movable = movable_channels(generator, torch.from_numpy(np.array(latents[:1])))
    return StylePopulation(styles.mean(dim=0), styles.std(dim=0), movable)


def channel_candidates(
    positives: Tensor,  # [P, S]
    population: StylePopulation,
    num_layers: int,
) -> list[Candidate]:
    """Single channels, best first, then groups of the best ones."""
    order, signs = rank_channels(
        positives[:MAX_POSITIVES],
        population.mean,
        population.deviation,
        population.movable,
        max(SINGLES, *GROUPS),
    )
    picks = [slice(i, i + 1) for i in range(min(SINGLES, len(order)))]
    picks += [slice(0, size) for size in GROUPS if size <= len(order)]
    return [
        Candidate(
            "channels " + ", ".join(str(int(c)) for c in order[pick]),
            channel_steps(order[pick], signs[pick], population.deviation),
            (0, num_layers),
            DEVIATIONS,
            in_styles=True,
        )
        for pick in picks
    ]


def choose_channels(
    validation: Validation,
    candidates: Mapping[tuple[int, int], Sequence[Candidate]],  # by (judged attribute, class)
    report: Report = lambda what, done, total: None,
) -> dict[tuple[int, int], Chosen]:
    """The best candidate of every class."""
    chosen = {}
    for done, (pair, own) in enumerate(candidates.items(), 1):
        trials = [run_trial(validation, candidate) for candidate in own]
        chosen[pair] = choose(validation, trials, *pair)[0]
        report("StyleSpace channels", done, len(candidates))
    return chosen
