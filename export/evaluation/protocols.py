"""Where edits start and when they have arrived, by the judge's margins.

near      the paper's protocol: the samples nearest to the boundaries of all attributes; stop where
          the image's label becomes the target
near-own  the same with samples nearest to the boundary of the edited attribute alone: with eight
          attributes hardly a sample is near all boundaries
far       start 0.5 to 1.5 standard deviations on the wrong side, the other attributes at least
          0.25 off their boundaries; stop 0.5 past the boundary
default   random samples, a random other class, the card's number of steps, only the last frame
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from export.evaluation.pool import Pool

FAR_START = (-1.5, -0.5)  # standard deviations of the target's margin
FAR_OTHERS = 0.25  # at least, of the margin of every other attribute's class
FAR_END = 0.5


@dataclass(frozen=True)
class Starts:
    """Which samples to edit, and to which class of the attribute."""

    samples: Tensor  # [N], int64, positions in the pool
    target: Tensor  # [N], int64


@dataclass(frozen=True)
class Protocol:
    """One way to choose starts and to end edits."""

    name: str
    choose: Callable[[Pool, int, int, int], Starts]  # pool, judged attribute, count, seed
    end: float | None  # standard deviations past the boundary; None: where the label changes
    every_frame: bool  # stop at the first frame that arrives; else only the last one is looked at

    def arrived(
        self,
        margins: Tensor,  # [N, A, K]
        sigma: Tensor,  # [A, K]
        attribute: int,
        target: Tensor,  # [N]
    ) -> Tensor:  # [N], bool
        """Whether images with these margins are where the edit should end."""
        if self.end is None:
            return margins[:, attribute].argmax(dim=1) == target
        own = margins[:, attribute].gather(1, target[:, None]).squeeze(1)
        return own >= self.end * sigma[attribute][target]


def near_starts(pool: Pool, attribute: int, count: int, seed: int) -> Starts:
    """The samples whose farthest boundary is nearest; the target is the next class."""
    return _nearest(pool, attribute, count, _distances(pool).amax(dim=1))


def near_own_starts(pool: Pool, attribute: int, count: int, seed: int) -> Starts:
    """The samples nearest to the boundary of the edited attribute; the target is the next class."""
    return _nearest(pool, attribute, count, _distances(pool)[:, attribute])


def far_starts(pool: Pool, attribute: int, count: int, seed: int) -> Starts:
    """Random ones of the clear cases, each with one of its eligible targets."""
    generator = torch.Generator().manual_seed(seed)
    clear = _distances(pool) >= FAR_OTHERS  # [N, A]
    clear[:, attribute] = True
    wrong_side = pool.margins[:, attribute] / pool.sigma[attribute]  # [N, K]
    low, high = FAR_START
    eligible = (wrong_side >= low) & (wrong_side <= high) & clear.all(dim=1, keepdim=True)
    eligible.scatter_(1, pool.labels[:, attribute, None], value=False)
    samples = torch.nonzero(eligible.any(dim=1)).squeeze(1)
    samples = samples[torch.randperm(len(samples), generator=generator)[:count]]
    if not len(samples):
        return Starts(samples, samples)
    drawn = torch.multinomial(eligible[samples].float(), 1, generator=generator)
    return Starts(samples, drawn.squeeze(1))


def random_starts(pool: Pool, attribute: int, count: int, seed: int) -> Starts:
    """The first samples of the pool, each to another class, drawn uniformly."""
    generator = torch.Generator().manual_seed(seed)
    samples = torch.arange(min(count, len(pool.margins)))
    classes = int((pool.margins[:, attribute] > -torch.inf).any(dim=0).sum())  # -inf: no such class
    shift = torch.randint(1, classes, (len(samples),), generator=generator)
    return Starts(samples, (pool.labels[samples, attribute] + shift) % classes)


def _distances(pool: Pool) -> Tensor:  # [N, A], standard deviations
    """How far the class of every attribute is from its boundary."""
    own = pool.labels.unsqueeze(2)
    scale = pool.sigma.expand_as(pool.margins).gather(2, own)
    return (pool.margins.gather(2, own) / scale).squeeze(2)


def _nearest(pool: Pool, attribute: int, count: int, distance: Tensor) -> Starts:
    samples = distance.argsort(stable=True)[:count]
    others = pool.margins[samples, attribute]
    label = others.argmax(dim=1, keepdim=True)
    return Starts(samples, others.scatter(1, label, -torch.inf).argmax(dim=1))


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol("near", near_starts, None, True),
            Protocol("near-own", near_own_starts, None, True),
            Protocol("far", far_starts, FAR_END, True),
            Protocol("default", random_starts, None, False),
        )
    }
)
