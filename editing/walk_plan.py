"""What a batch of walks wants. Knows nothing about how it is done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import torch
from torch import Tensor

NEVER_STOP = 2.0  # a stop probability that no class can reach
ClassPulls = tuple[tuple[tuple[float, ...], ...], ...]  # [A, K, K]; empty: none


@dataclass(frozen=True)
class WalkPlan:
    """What each sample of a batch wants. On the CPU, a walk on a device need not ask for it."""

    attribute: Tensor  # [N], int64
    target: Tensor  # [N], int64, class of that attribute
    steps: Tensor  # [N], int64, most steps to take
    step_size: Tensor  # [N], L2 length of one step in latent units
    top_k: Tensor  # [N, A], int64, channels protected per attribute; 0 for the edited one
    stop_probability: (
        Tensor  # [N], stop at this probability of the target; NEVER_STOP for all steps
    )
    goal: Tensor | None = None  # [N], log-odds that the last step aims at; None or inf: full steps
    row_noise: Tensor | None = None  # [N], per channel, over which the target's row is averaged
    pulls: Tensor | None = None  # [N, A, K, K], see `stacked_pulls`; None: nothing is countered
    editable: Tensor | None = None  # [N, C], bool, channels that may move; None: all

    def tensors(self) -> list[Tensor]:
        """All that it has, in the order of its fields."""
        values = (getattr(self, field.name) for field in fields(self))
        return [value for value in values if value is not None]

    def to(self, device: torch.device) -> "WalkPlan":
        """The same plan on another device; the host does not wait for it."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def of(self, samples: Tensor) -> "WalkPlan":
        """What some samples want, int64 [M], in that order, in memory of its own."""
        return self._with(lambda tensor: tensor[samples.to(tensor.device)])

    def _with(self, change: Callable[[Tensor], Tensor]) -> "WalkPlan":
        return WalkPlan(
            change(self.attribute),
            change(self.target),
            change(self.steps),
            change(self.step_size),
            change(self.top_k),
            change(self.stop_probability),
            None if self.goal is None else change(self.goal),
            None if self.row_noise is None else change(self.row_noise),
            None if self.pulls is None else change(self.pulls),
            None if self.editable is None else change(self.editable),
        )


def stacked_pulls(pulls: Sequence[ClassPulls], device: torch.device | str) -> Tensor | None:
    """What each step of a sample adds against side effects, [N, A, K, K]; None: no sample has any.

    For each class that another attribute may have at a point: weights of its class logits, whose
    gradient is followed by their length, in lengths of the step.
    """
    some = next(filter(None, pulls), None)
    if some is None:
        return None
    none = torch.zeros_like(_as_tensor(some))
    return torch.stack([_as_tensor(one) if one else none for one in pulls]).to(device)


@lru_cache(maxsize=256)
def _as_tensor(pulls: ClassPulls) -> Tensor:
    return torch.tensor(pulls, dtype=torch.float32)
