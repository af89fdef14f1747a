"""Algorithm 1 of the paper: protect the channels that other attributes depend on.

Knows nothing about heads or steps: gradients in, a unit direction out. Masks are numbers, 0 or 1:
on CPUs torch multiplies several times faster than it compares, selects or fills.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from editing.asking import knows_all, may_ask
from editing.shapes import expect_shape


@dataclass(frozen=True)
class MaskedDirection:
    """A direction per sample and what masking took from it.

    A sample that has nothing left (all masked, zero or non-finite gradient) has a zero direction
    and kept_norm 0, so that one refused sample does not fail its batch.
    """

    direction: Tensor  # [N, C], unit length or zero
    masked_channels: Tensor  # [N], int64, channels protected
    kept_norm: Tensor  # [N], 0..1, share of the gradient's L2 norm that is left


def mask_salient_channels(
    gradient: Tensor,  # [N, C]
    saliency: Tensor,  # [N, A, C], |d f_a / d latent_c| per attribute a (Eq. 6)
    top_k: Tensor,  # [N, A], int64, 0..C channels to protect for each attribute; 0 protects none
) -> MaskedDirection:
    """Zero the top-k salient channels of each protected attribute, then normalise, per sample."""
    samples, channels = gradient.shape
    attributes = saliency.shape[1]
    expect_shape("saliency", saliency, (samples, attributes, channels))
    expect_shape("top_k", top_k, (samples, attributes))
    free = free_channels(saliency, top_k)
    if free is None:
        direction, length = normalise(gradient)
        return MaskedDirection(direction, top_k.new_zeros(samples), (length > 0).to(length.dtype))
    (direction, _), (left, full) = normalise(torch.stack([gradient * free, gradient]))
    kept = left / full.clamp_min(torch.finfo(full.dtype).tiny)
    protected = channels - free.sum(dim=1)
    return MaskedDirection(direction, protected.to(top_k.dtype), kept.clamp_max(1.0))


def free_channels(saliency: Tensor, top_k: Tensor) -> Tensor | None:
    """1 outside the union E over attributes (Algorithm 1, line 7), else 0 [N, C]; None: all free.

    saliency: [N, A, C]; top_k: [N, A]. Ties at the threshold are protected.
    """
    excess: Tensor | None = None  # [N, C], of the saliency over the threshold that it exceeds most
    if may_ask(saliency):
        excess = _known_excess(saliency, top_k.clamp(0, saliency.shape[2]).T.tolist())
    elif saliency.shape[1]:
        excess = (saliency - _unasked_thresholds(saliency, top_k)[:, :, None]).amax(dim=1)
    return None if excess is None else excess.sign().neg().relu()


def _known_excess(saliency: Tensor, counts: Sequence[Sequence[int]]) -> Tensor | None:
    """Of the attributes that anybody protects, counts [A, N]; None where there is none."""
    excess: Tensor | None = None
    for of_attribute, wanted in zip(saliency.unbind(dim=1), counts, strict=True):
        if any(wanted):
            over = of_attribute - thresholds(of_attribute, wanted)[:, None]
            excess = over if excess is None else torch.maximum(excess, over)
    return excess


def _unasked_thresholds(saliency: Tensor, top_k: Tensor) -> Tensor:  # [N, A]
    if saliency.is_cpu and torch.compiler.is_compiling():
        return partitioned_thresholds(saliency, top_k)
    return _sorted_thresholds(saliency, top_k)


@torch.library.custom_op("gradctrl::partitioned_thresholds", mutates_args=())
def partitioned_thresholds(saliency: Tensor, top_k: Tensor) -> Tensor:  # [N, A]
    """As `thresholds`, of [N, A, C] and [N, A]: how a compiled function of the CPU calls back.

    It runs outside of what is compiled, so that counts can be read: sorting would take longer than
    all the rest of a step.
    """
    counts = top_k.clamp(0, saliency.shape[2]).T.tolist()
    nobody = saliency.new_full(top_k.shape[:1], torch.inf)
    found = [
        thresholds(of_attribute, wanted) if any(wanted) else nobody
        for of_attribute, wanted in zip(saliency.unbind(dim=1), counts, strict=True)
    ]
    return torch.stack(found, dim=1)


@partitioned_thresholds.register_fake
def _(saliency: Tensor, top_k: Tensor) -> Tensor:
    return saliency.new_empty(top_k.shape)


def _sorted_thresholds(saliency: Tensor, top_k: Tensor) -> Tensor:  # [N, A] of [N, A, C], [N, A]
    """As `thresholds`, for counts that nobody reads: whole rows are sorted."""
    channels = saliency.shape[2]
    counts = top_k.clamp(0, channels)
    places = (channels - counts).clamp_max(channels - 1)
    found = saliency.sort(dim=2).values.gather(2, places[:, :, None])[:, :, 0]
    return torch.where(counts > 0, found, found.new_full((), torch.inf))


def thresholds(saliency: Tensor, counts: Sequence[int]) -> Tensor:
    """t = sorted(L)[-c] (Algorithm 1) of each row [N, C], [N]; infinite where c is 0."""
    different = set(counts)
    if len(different) == 1:
        return _kth_largest(saliency, counts[0])
    found = torch.full_like(saliency[:, 0], torch.inf)
    wanted = torch.tensor(counts, device=saliency.device)
    for k in different - {0}:  # few: those of the cards of a batch
        rows = wanted == k
        found[rows] = _kth_largest(saliency[rows], k)
    return found


def _kth_largest(rows: Tensor, k: int) -> Tensor:  # [M] of [M, C]
    """By partial sorting; on CPUs numpy's is vectorised and several times faster than torch's."""
    place = rows.shape[1] - k
    if k == 1:
        return rows.amax(dim=1)
    if rows.device.type == "cpu" and rows.dtype in (torch.float32, torch.float64):
        ordered = rows.clone().numpy()
        ordered.partition(place, axis=1)
        return torch.from_numpy(ordered[:, place].copy())
    return rows.kthvalue(place + 1, dim=1).values


def normalise(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors [..., C] and lengths [...]; zero vectors and non-finite ones become zero.

    Scaled by the largest entry first: squares of entries below 1e-19 vanish in float32.
    """
    largest = vectors.abs().amax(dim=-1, keepdim=True)
    finite = largest < torch.inf  # not true of NaN
    if not knows_all(finite):
        zero = vectors.new_zeros(())
        vectors, largest = torch.where(finite, vectors, zero), torch.where(finite, largest, zero)
    scale = largest + (largest == 0)
    scaled = vectors / scale
    length = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)  # 1 or more, or 0
    return scaled / length.clamp_min(1.0), (length * scale).squeeze(-1)
