"""Takes out of a direction what would change other attributes, to first order.

A mask (Algorithm 1 of the paper) drops whole channels; a projection drops only the part of the
direction that lies in the span of the protected attributes' Jacobian rows. Knows nothing about
heads or steps.
"""

from dataclasses import replace

import torch
from torch import Tensor

from editing.masking import MaskedDirection, normalise
from editing.shapes import expect_shape

_RIDGE = 1e-4  # of unit rows: two attributes with nearly the same row stay solvable


def project_off(
    found: MaskedDirection,
    rows: Tensor,  # [N, A, C], Jacobian rows
    protected: Tensor,  # [N, A], bool
) -> MaskedDirection:
    """The direction without its part in the span of the protected rows, unit length or zero.

    Channels in which the direction is zero stay zero, so a mask holds.
    """
    samples, channels = found.direction.shape
    expect_shape("rows", rows, (samples, None, channels))
    expect_shape("protected", protected, (samples, rows.shape[1]))
    if not bool(protected.any()):
        return found
    usable = rows * ((found.direction != 0)[:, None] & protected[:, :, None])
    largest = usable.abs().amax(dim=2, keepdim=True)  # squares of tiny entries would vanish
    spans = (largest > 0) & torch.isfinite(largest)
    scaled = torch.where(spans, usable / largest, 0.0)  # [N, A, C]; zero where none is protected
    gram = scaled @ scaled.transpose(1, 2)  # [N, A, A]
    inverse = gram.diagonal(dim1=1, dim2=2).clamp_min(1.0).rsqrt()  # [N, A], of the lengths
    ridge = _RIDGE * torch.eye(rows.shape[1], device=rows.device, dtype=rows.dtype)
    along = torch.einsum("nac,nc->na", scaled, found.direction) * inverse
    weights = torch.linalg.solve(gram * inverse[:, None] * inverse[:, :, None] + ridge, along)
    spanned = torch.einsum("na,nac->nc", weights * inverse, scaled)
    direction, length = normalise(found.direction - spanned)
    return replace(found, direction=direction, kept_norm=found.kept_norm * length.clamp(max=1.0))
