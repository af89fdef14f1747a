"""What a batch of walks wants. Knows nothing about how it is done."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

NEVER_STOP = 2.0  # a stop probability that no class can reach


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
    editable: Tensor | None = None  # [N, C], bool, channels that may move; None: all

    def tensors(self) -> list[Tensor]:
        """All that it has, in the order of its fields."""
        values = (getattr(self, field.name) for field in fields(self))
        return [value for value in values if value is not None]

    def to(self, device: torch.device) -> "WalkPlan":
        """The same plan on another device; the host does not wait for it."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True)

        return replace(
            self,
            attribute=moved(self.attribute),
            target=moved(self.target),
            steps=moved(self.steps),
            step_size=moved(self.step_size),
            top_k=moved(self.top_k),
            stop_probability=moved(self.stop_probability),
            goal=None if self.goal is None else moved(self.goal),
            editable=None if self.editable is None else moved(self.editable),
        )
