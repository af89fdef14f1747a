"""What becomes of edits with given defaults: reached, and clean or not, as an onlooker sees it.

Knows nothing about choosing defaults.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from editing import walk_latents
from export.onlookers import Onlooker
from export.sampling import drawn_labels, sample_latents
from export.strips import LocalModel
from model_store import AttributeCard, EditDefaults, plan_edit, walk_plan

_LONGEST_WALK = 40  # steps without a goal


@dataclass(frozen=True)
class Outcome:
    """What became of edits of one attribute."""

    before: np.ndarray  # [N, A], int64, classes that the images showed
    after: np.ndarray  # [N, A], int64
    edited: int  # 0..A-1
    target: np.ndarray  # [N], int64, class of that attribute
    attributes: tuple[str, ...]  # A names, those that the onlooker knows

    @property
    def start(self) -> np.ndarray:
        """Class [N] of the edited attribute before."""
        return np.asarray(self.before[:, self.edited])

    @property
    def reached(self) -> np.ndarray:
        """Whether images [N] show the target."""
        return np.asarray(self.after[:, self.edited] == self.target)

    @property
    def changed(self) -> np.ndarray:
        """Attributes [N, A] that show another class; never the edited one."""
        others = np.arange(self.before.shape[1]) != self.edited
        return np.asarray((self.before != self.after) & others)

    @property
    def accurate(self) -> np.ndarray:
        """Edits [N] that changed the target and nothing else."""
        return self.reached & ~self.changed.any(axis=1)

    @property
    def accuracy(self) -> float:
        """Share of edits that changed the target and nothing else."""
        return float(self.accurate.mean())

    @property
    def worths(self) -> np.ndarray:
        """What each edit [N] counts, 0..1: being accurate twice, reaching the target at all once.

        By accuracy alone short walks win where few edits can be clean, and reach nothing.
        """
        return np.asarray((self.reached + 2.0 * self.accurate) / 3)

    @property
    def worth(self) -> float:
        """What defaults are chosen by, 0..1."""
        return float(self.worths.mean())

    def joined(self, other: "Outcome") -> "Outcome":
        """These edits and others of the same attribute."""
        return replace(
            self,
            before=np.concatenate([self.before, other.before]),
            after=np.concatenate([self.after, other.after]),
            target=np.concatenate([self.target, other.target]),
        )

    def is_clearly_better(self, other: "Outcome", errors: float = 1.0) -> bool:
        """Whether it is worth more than other edits of its samples, by so many standard errors."""
        gain = self.worths - other.worths
        return bool(gain.mean() > errors * gain.std() / np.sqrt(len(gain)))


@dataclass(frozen=True)
class Samples:
    """Unedited samples and what their images show."""

    latents: Tensor  # [N, L, C]
    labels: np.ndarray  # [N, A], int64, of the onlooker's attributes


def draw_samples(model: LocalModel, onlooker: Onlooker, first_seed: int, count: int) -> Samples:
    """Samples of consecutive seeds at the default psi."""
    card, seeds = model.generator.card, range(first_seed, first_seed + count)
    latents = sample_latents(model.generator, seeds, card.truncation, drawn_labels(card, seeds))
    return Samples(latents, onlooker.labels(latents).numpy())


def edit_samples(
    model: LocalModel,
    onlooker: Onlooker,
    samples: Samples,
    attribute: AttributeCard,  # one that the onlooker knows
    defaults: EditDefaults,
    seed: int = 0,
    every_frame: bool = False,
) -> Outcome:
    """Every sample to another class than it shows, drawn uniformly.

    With every_frame an edit ends where the onlooker first sees the target, else at its last frame.
    """
    index = onlooker.attributes.index(attribute.name)
    before = samples.labels[:, index]
    target = draw_targets(before, len(attribute.classes), seed)
    frames = _frames(model, samples.latents, attribute, target, defaults)
    labels = samples.labels.copy()
    for latents in frames[:, 1 if every_frame else -1 :].unbind(dim=1):
        on_the_way = np.flatnonzero(labels[:, index] != target)
        if not len(on_the_way):
            break
        labels[on_the_way] = onlooker.labels(latents[on_the_way]).numpy()
    return Outcome(samples.labels, labels, index, target, onlooker.attributes)


def walk_samples(
    model: LocalModel,
    onlooker: Onlooker,
    samples: Samples,
    attribute: AttributeCard,
    defaults: EditDefaults,
    seed: int = 0,
) -> Outcome:
    """The same without a goal: every walk goes on until the target shows, or for too long."""
    without_goal = defaults.model_copy(update={"steps": _LONGEST_WALK, "goal": None})
    return edit_samples(model, onlooker, samples, attribute, without_goal, seed, every_frame=True)


def draw_targets(before: np.ndarray, num_classes: int, seed: int) -> np.ndarray:
    """For each class [N] another one, uniformly."""
    shift = np.random.default_rng(seed).integers(1, num_classes, len(before))
    return (before + shift) % num_classes


def _frames(
    model: LocalModel,
    latents: Tensor,  # [N, L, C]
    attribute: AttributeCard,
    target: np.ndarray,  # [N], int64
    defaults: EditDefaults,
) -> Tensor:  # [N, T, L, C]
    """Where edits with these defaults pass, the start included; a refused one stays."""
    card = model.generator.card
    tried = attribute.model_copy(update={"defaults": defaults})
    others = tuple(tried if one.name == tried.name else one for one in card.attributes)
    planned = card.model_copy(update={"attributes": others})
    edits = [plan_edit(planned, tried.name, tried.classes[t]) for t in target]
    plan, ranges = walk_plan(edits, latents.device)
    with torch.inference_mode():
        return walk_latents(model.heads, latents, plan, ranges).latents
