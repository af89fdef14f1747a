"""What a batch of walks wants. Knows nothing about how it is done."""

from dataclasses import dataclass

from torch import Tensor

NEVER_STOP = 2.0  # a stop probability that no class can reach


@dataclass(frozen=True)
class WalkPlan:
    """What each sample of a batch wants."""

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
