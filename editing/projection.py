"""Takes out of a direction what would change other attributes, to first order.

A mask (Algorithm 1 of the paper) drops whole channels; a projection drops only the part of the
direction that lies in the span of the protected attributes' Jacobian rows. Knows nothing about
heads or steps.
"""

from dataclasses import replace

import torch
from torch import Tensor

from editing.asking import may_ask
from editing.masking import MaskedDirection, normalise
from editing.shapes import expect_shape

_RIDGE = 1e-4  # of unit rows: two attributes with nearly the same row stay solvable
NEGLIGIBLE = 1e-3  # of a unit direction: what the ridge leaves of one that lies in the span


def project_off(
    found: MaskedDirection,
    rows: Tensor,  # [N, A, C], Jacobian rows
    protected: Tensor,  # [N, A], bool
) -> MaskedDirection:
    """The direction without its part in the span of the protected rows, unit length or zero.

    Channels in which the direction is zero stay zero, so a mask holds. A direction within the span
    keeps nothing: it is zero, and so is its `kept_norm`.
    """
    samples, channels = found.direction.shape
    expect_shape("rows", rows, (samples, None, channels))
    expect_shape("protected", protected, (samples, rows.shape[1]))
    if rows.shape[1] == 0:
        return found
    allowed = found.direction.sign().abs()[:, None] * protected[:, :, None]
    units, _ = normalise(rows * allowed)  # [N, A, C]; zero where none is protected
    along = torch.bmm(units, found.direction[:, :, None])  # [N, A, 1]
    weights = solve_gram(torch.baddbmm(ridge_of(rows), units, units.transpose(1, 2)), along)
    spanned = torch.bmm(weights.transpose(1, 2), units)[:, 0]
    left = found.direction - spanned  # of a unit vector: no need to scale it first
    length = torch.linalg.vector_norm(left, dim=1)
    length = torch.where(length < NEGLIGIBLE, 0.0, length)
    unit = left / length.clamp_min(torch.finfo(length.dtype).tiny)[:, None]
    direction = torch.where(length[:, None] > 0, unit, 0.0)
    return replace(found, direction=direction, kept_norm=found.kept_norm * length.clamp_max(1.0))


def ridge_of(rows: Tensor) -> Tensor:  # [A, A] of [N, A, C]
    """What inner products of unit rows get, so that equal rows and zero ones can be solved."""
    return _RIDGE * torch.eye(rows.shape[1], device=rows.device, dtype=rows.dtype)


def solve_gram(gram: Tensor, along: Tensor) -> Tensor:  # [N, A, M] of [N, A, A], [N, A, M]
    """The weights w with gram w = along, of a gram that is symmetric and positive definite.

    LAPACK's on the CPU. On CUDA linalg.solve reads its error flags back, and cuSOLVER cannot be
    captured (pytorch/pytorch#96632), so elimination; by the ridge it needs no pivots.
    """
    if may_ask(gram):
        return torch.linalg.solve(gram, along)
    size = gram.shape[1]
    unit = torch.eye(size, device=gram.device, dtype=gram.dtype)
    system = torch.cat([gram, along], dim=2)  # [N, A, A + M]
    for a in range(size):
        row = system[:, a : a + 1] / system[:, a : a + 1, a : a + 1]
        system = system - (system[:, :, a : a + 1] - unit[:, a : a + 1]) * row
    return system[:, :, size:]
