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
    masked = gradient.masked_fill(protected, 0.0)
    direction, length = normalise(masked)
    _, full = normalise(gradient)
    kept = torch.where(length > 0, length / full.clamp_min(torch.finfo(full.dtype).tiny), 0.0)
    return MaskedDirection(direction, protected.sum(dim=1), kept.clamp(max=1.0))


def protected_channels(saliency: Tensor, top_k: Tensor) -> Tensor:
    """Union E over attributes (Algorithm 1, line 7), bool [N, C]; ties at the threshold count.

    saliency: [N, A, C]; top_k: [N, A].
    """
    channels = saliency.shape[2]
    ordered = saliency.sort(dim=2, descending=True).values
    last = (top_k - 1).clamp(0, channels - 1).unsqueeze(2)
    threshold = ordered.gather(2, last)  # [N, A, 1], t = sorted(L)[-c]
    chosen = (saliency >= threshold) & (top_k > 0).unsqueeze(2)
    return chosen.any(dim=1)


def normalise(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors [N, C] and lengths [N]; zero vectors and non-finite ones become zero.

    Scaled by the largest entry first: squares of entries below 1e-19 vanish in float32.
    """
    largest = vectors.abs().amax(dim=1, keepdim=True)
    usable = (largest > 0) & torch.isfinite(largest)
    scaled = torch.where(usable, vectors / torch.where(usable, largest, 1.0), 0.0)
    length = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    unit = torch.where(usable, scaled / torch.where(usable, length, 1.0), 0.0)
    return unit, torch.where(usable, length * largest, 0.0).squeeze(1)
