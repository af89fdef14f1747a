"""Walks whose step torch.compile has translated. Knows nothing about requests."""

import torch
from torch import Tensor

from editing.courses import course_of
from editing.outlines import whole_outline
from editing.scoring import StackedHeads
from editing.trajectory import Trajectory, check_walk, follow, take_step, walk
from editing.walk_plan import WalkPlan


class CompiledWalk:
    """`walk` for one number of samples, translated once for all plans of a model's heads.

    Other numbers of samples walk as they would without it: each would be translated for itself,
    which takes seconds. So would tensors that were not made in inference mode, as those of requests
    are.
    """

    def __init__(self, num_samples: int) -> None:
        self._num_samples = num_samples
        self._take = torch.compile(
            take_step,
            fullgraph=True,
            dynamic=False,
            isolate_recompiles=True,  # type: ignore[call-overload]
        )

    def __call__(self, heads: StackedHeads, start: Tensor, plan: WalkPlan) -> Trajectory:
        """Paths of all samples from start [N, C]."""
        if start.shape[0] != self._num_samples:
            return walk(heads, start, plan)
        check_walk(heads, start, plan)
        return follow(course_of(heads, plan, whole_outline(plan)), start, self._take)
