"""Chooses one of several candidate edits per class by what it does to validation images.

GANSpace and StyleSpace leave this choice to people who look at pictures. Here an image classifier
looks at the few validation samples: the best candidate is the one that most often brings them into
the class with every other label unchanged; among equals, the one that moves the target most for
what it moves of the others. Knows nothing about where candidates come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from editing import EditingError, changes, expect_shape, spread
from export.onlookers import Margins


@dataclass(frozen=True)
class Candidate:
    """An edit that may be chosen."""

    name: str
    vector: Tensor  # [C] unit, or [S] offsets of one standard deviation
    layers: tuple[int, int]
    lengths: tuple[float, ...]  # ascending, how far to go for the trial
    in_styles: bool = False


@dataclass(frozen=True)
class Validation:
    """Validation samples and what the unedited ones show."""

    latents: Tensor  # [N, L, C]
    before: Tensor  # [N, A, K], log-odds
    sigma: Tensor  # [A, K]
    margins: Margins


@dataclass(frozen=True)
class Trial:
    """What a candidate did."""

    candidate: Candidate
    margins: Tensor  # [N, T, A, K], the first frame unedited, then one per length


@dataclass(frozen=True)
class Chosen:
    """The candidate of one class and how it did."""

    candidate: Candidate
    accuracy: float | None  # share of validation samples that got there, all other labels kept
    worth: float  # at the shortest length: target's change minus the others', deviations

    @property
    def remark(self) -> str:
        """What was chosen and why, for people."""
        if self.accuracy is None:
            return f"{self.candidate.name} (ranked first)"
        return f"{self.candidate.name} (validation accuracy {self.accuracy:.2f})"


def make_validation(latents: Tensor, margins: Margins) -> Validation:
    """Validation samples [N, L, C] as `margins` sees them unedited."""
    if len(latents) < 2:
        raise EditingError(f"latents: expected at least 2 validation samples, got {len(latents)}")
    before = margins(latents, None)
    return Validation(latents, before, spread(before), margins)


def run_trial(validation: Validation, candidate: Candidate) -> Trial:
    """Every validation sample at every length of a candidate, as one batch."""
    latents, lengths = validation.latents, torch.tensor(candidate.lengths)
    samples, layers, channels = latents.shape
    frames = latents[:, None].repeat(1, len(lengths), 1, 1)  # [N, T, L, C]
    offsets = None
    moved = lengths[:, None] * candidate.vector  # [T, C] or [T, S]
    if candidate.in_styles:
        offsets = moved.repeat(samples, 1)  # [N * T, S]
    else:
        expect_shape("vector", candidate.vector, (channels,))
        low, high = candidate.layers
        frames[:, :, low:high] += moved[:, None]
    found = validation.margins(frames.reshape(-1, layers, channels), offsets)
    after = found.reshape(samples, len(lengths), *found.shape[1:])
    return Trial(candidate, torch.cat([validation.before[:, None], after], dim=1))


def rate(validation: Validation, trial: Trial, attribute: int, target: int) -> Chosen:
    """How well a trial edits an attribute into a class, over samples that are not in it yet."""
    outside = validation.before[:, attribute].argmax(dim=1) != target
    margins = trial.margins[outside]  # [M, T, A, K]
    if not len(margins):
        return Chosen(trial.candidate, 0.0, 0.0)
    labels = margins.argmax(dim=3)  # [M, T, A]
    reached = labels[:, :, attribute] == target
    same = labels == labels[:, :1]
    same[:, :, attribute] = True
    first = reached.int().argmax(dim=1)  # first frame in the class, 0 (outside) for never
    rows = torch.arange(len(margins))
    accurate = reached[rows, first] & same[rows, first].all(dim=1)
    targets = torch.full((len(margins),), target)
    moved = changes(margins, validation.sigma, attribute, targets)
    harm = torch.nan_to_num(moved.others)  # of a model with one attribute: none
    worth = (moved.target - harm)[:, 1].mean()  # at the shortest length, where images still hold
    return Chosen(trial.candidate, float(accurate.double().mean()), float(worth))


def choose(
    validation: Validation, trials: Sequence[Trial], attribute: int, target: int, count: int = 1
) -> list[Chosen]:
    """The best `count` trials for a class, best first; of equals the earlier one."""
    rated = [rate(validation, trial, attribute, target) for trial in trials]
    return sorted(rated, key=lambda one: (-(one.accuracy or 0.0), -one.worth))[:count]
