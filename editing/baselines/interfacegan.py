"""InterFaceGAN (Shen et al., TPAMI 2020): the normal of a linear boundary, plain or conditional.

Knows nothing about how normals are fitted (a linear SVM: export/baselines/interfacegan.py).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_NEGLIGIBLE = 1e-4  # of a unit normal: what is left after projection is then rounding


def conditional_normals(normals: Sequence[Tensor]) -> list[Tensor]:
    """Unit normals per attribute [K, C], each conditioned on those of all other attributes.

    Classes of the same attribute are not conditioned on each other: they exclude each other.
    """
    found = []
    for a, own in enumerate(normals):
        others = [normal for b, normal in enumerate(normals) if b != a]
        found.append(conditioned(own, torch.cat(others)) if others else own)
    return found


def conditioned(
    normals: Tensor,  # [K, C], unit
    conditions: Tensor,  # [M, C]
) -> Tensor:  # [K, C], unit; zero where nothing is left
    """The part of each normal that is orthogonal to the span of the conditions.

    Section 3.2, "conditional manipulation": n1 - (n1 . n2) n2 for one condition, the projection
    off their span for several.
    """
    _, scales, basis = torch.linalg.svd(conditions.double(), full_matrices=False)
    if len(scales):
        basis = basis[scales > scales[0] * 1e-6]  # [R, C], orthonormal rows
    left = normals.double() - (normals.double() @ basis.T) @ basis
    length = torch.linalg.vector_norm(left, dim=1, keepdim=True)
    usable = length > _NEGLIGIBLE
    unit = torch.where(usable, left / torch.where(usable, length, 1.0), 0.0)
    return unit.to(normals.dtype)
