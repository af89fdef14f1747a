"""Algorithm 1 of the paper: protect the channels that other attributes depend on.

Knows nothing about heads or steps: gradients in, a unit direction out.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

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
    protected = protected_channels(saliency, top_k)  # [N, C]
    masked = torch.where(protected, 0.0, gradient)
    direction, length = normalise(masked)
    _, full = normalise(gradient)
    kept = torch.where(length > 0, length / full.clamp_min(torch.finfo(full.dtype).tiny), 0.0)
    return MaskedDirection(direction, protected.sum(dim=1), kept.clamp(max=1.0))


def protected_channels(saliency: Tensor, top_k: Tensor) -> Tensor:
    """Union E over attributes (Algorithm 1, line 7), bool [N, C]; ties at the threshold count.

    saliency: [N, A, C]; top_k: [N, A].
    """
    channels = saliency.shape[2]
    flat, counts = saliency.flatten(0, 1), top_k.flatten().clamp(0, channels)
    threshold = torch.full_like(flat[:, 0], torch.inf)  # [N * A], t = sorted(L)[-c]
    for k in set(counts.tolist()) - {0}:  # few: those of the cards of a batch
        rows = counts == k
        threshold[rows] = _kth_largest(flat[rows], k)
    chosen = (flat >= threshold[:, None]) & (counts > 0)[:, None]
    union, *others = chosen.view_as(saliency).unbind(dim=1)  # any(dim=1) takes ten times as long
    for one in others:
        union = union | one
    return union


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
    """Unit vectors [N, C] and lengths [N]; zero vectors and non-finite ones become zero.

    Scaled by the largest entry first: squares of entries below 1e-19 vanish in float32.
    """
    largest = vectors.abs().amax(dim=1, keepdim=True)
    usable = (largest > 0) & torch.isfinite(largest)
    scaled = torch.where(usable, vectors / largest, 0.0)
    length = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)  # 1 or more, or 0
    return scaled / length.clamp_min(1.0), torch.where(usable, length * largest, 0.0).squeeze(1)
