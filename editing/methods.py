"""Ways to edit, behind one call: the product's own walk and every method it is compared with.

Knows nothing about images or files. A method holds what was fitted beforehand; a path is made of
latents alone, so that a harness can render it and decide afterwards where it would have stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from editing.errors import EditingError
from editing.latent_walk import walk_latents
from editing.scoring import StackedHeads
from editing.shapes import expect_shape
from editing.walk_plan import NEVER_STOP, ClassPulls, WalkPlan, stacked_pulls


@dataclass(frozen=True)
class WalkReport:
    """What happened on the way of each sample of a walk that masks."""

    steps_taken: Tensor  # [N], int64, steps that moved; a refused sample: those before
    masked_channels: Tensor  # [N], int64, most channels protected in any step
    kept_norm: Tensor  # [N], smallest share of the row that was left in any step


@dataclass(frozen=True)
class Path:
    """Where each sample goes; a refused one stays where it was when nothing was left to follow."""

    latents: Tensor  # [N, T, L, C], T = steps + 1, the first is the start
    styles: Tensor | None  # [N, T, S], offsets in style space (StyleSpace only), else None
    refused: Tensor  # [N], bool, nothing to move: all masked, or no gradient
    report: WalkReport | None = None  # None: a line, which takes every step and masks nothing


class Method(Protocol):
    """A way to edit: the same call for the product's own walk and every baseline."""

    @property
    def name(self) -> str:
        """The name that requests and reports use."""
        ...

    def path(
        self,
        latents: Tensor,  # [N, L, C], starts, in the model's edit space
        attribute: int,
        target: Tensor,  # [N], int64, class to reach
        steps: int,
    ) -> Path:
        """`steps` steps from every start; nothing here looks at images."""
        ...


@dataclass(frozen=True)
class EditSettings:
    """How one attribute is edited: its part of a model card, by indices."""

    top_k: tuple[int, ...]  # per attribute, channels to protect; 0 protects none
    layers: tuple[int, int]  # half-open
    step_size: float  # L2 length of a step, latent units; with a goal not used but for a bound
    goal: float | None = None  # log-odds of the target that the last step aims at
    row_noise: float = 0.0  # of each channel that heads read, over which the row is averaged
    pulls: Mapping[int, ClassPulls] = field(default_factory=dict)  # by target


@dataclass(frozen=True)
class GradCtrlWalk:
    """`editing.walk` as a method: every step is taken, whatever the head says."""

    heads: StackedHeads
    settings: Sequence[EditSettings]  # one per attribute
    name: str = "gradctrl"

    def path(self, latents: Tensor, attribute: int, target: Tensor, steps: int) -> Path:
        """The walk of latents [N, L, C] to target [N]."""
        plan, ranges = plan_batch(self.settings, latents, attribute, target, steps)
        found = walk_latents(self.heads, latents, plan, ranges)
        trail = found.trajectory
        report = WalkReport(trail.steps_taken, trail.masked_channels, trail.kept_norm)
        return Path(pad_points(found.latents, steps), None, trail.refused, report)


def plan_batch(
    settings: Sequence[EditSettings],
    latents: Tensor,  # [N, L, C]
    attribute: int,
    target: Tensor,  # [N], int64
    steps: int,
) -> tuple[WalkPlan, Tensor]:
    """The plan of a batch that edits one attribute, without a stop, and layer ranges [N, 2]."""
    check_edit(latents, attribute, target, steps, len(settings))
    samples, chosen = latents.shape[0], settings[attribute]
    plan = WalkPlan(
        attribute=torch.full_like(target, attribute),
        target=target,
        steps=torch.full_like(target, steps),
        step_size=latents.new_full((samples,), chosen.step_size),
        top_k=target.new_tensor(chosen.top_k).expand(samples, -1),
        stop_probability=latents.new_full((samples,), NEVER_STOP),
        goal=None if chosen.goal is None else latents.new_full((samples,), chosen.goal),
        row_noise=latents.new_full((samples,), chosen.row_noise),
        pulls=stacked_pulls([chosen.pulls.get(one, ()) for one in target.tolist()], latents.device),
    )
    return plan, target.new_tensor(chosen.layers).expand(samples, -1)


def pad_points(points: Tensor, steps: int) -> Tensor:
    """Points [N, steps + 1, ...] of points [N, T, ...]: where a walk ended early, it stays."""
    missing = steps + 1 - points.shape[1]
    return torch.cat([points, points[:, -1:].repeat_interleave(missing, dim=1)], dim=1)


def check_edit(
    latents: Tensor, attribute: int, target: Tensor, steps: int, num_attributes: int
) -> None:
    """EditingError unless the arguments of a `path` fit each other."""
    expect_shape("latents", latents, (None, None, None))
    expect_shape("target", target, (latents.shape[0],))
    if not 0 <= attribute < num_attributes:
        raise EditingError(f"attribute: expected 0..{num_attributes - 1}, got {attribute}")
    if steps < 0:
        raise EditingError(f"steps: expected 0 or more, got {steps}")
