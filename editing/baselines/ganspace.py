"""GANSpace (Härkönen et al., NeurIPS 2020): principal components of what a generator draws from.

Knows nothing about attributes: which component, sign and layers make an edit is chosen elsewhere
(export/baselines/ganspace.py; by hand in the paper).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from editing.errors import EditingError
from editing.shapes import expect_shape


@dataclass(frozen=True)
class PrincipalComponents:
    """Directions of largest variance, largest first."""

    components: Tensor  # [P, C], unit length
    deviations: Tensor  # [P], standard deviation of the samples along each


def principal_components(points: Tensor, count: int) -> PrincipalComponents:
    """At most `count` components of points [N, C] (StyleGAN: of w, section 2.1)."""
    samples, channels = points.shape
    if samples < 2:
        raise EditingError(f"points: expected at least 2 samples, got {samples}")
    centred = points.double() - points.double().mean(dim=0)
    covariance = centred.T @ centred / (samples - 1)
    variances, vectors = torch.linalg.eigh(covariance)  # ascending
    kept = min(count, channels, samples - 1)
    return PrincipalComponents(
        vectors.T.flip(0)[:kept].to(points.dtype),
        variances.flip(0)[:kept].clamp_min(0).sqrt().to(points.dtype),
    )


def regressed_components(
    features: Tensor,  # [N, F], what the first layer makes of each z
    points: Tensor,  # [N, C], the z
    count: int,
) -> PrincipalComponents:
    """Components for a z whose distribution has none of its own (section 2.2, BigGAN).

    Principal components of the features, brought to z by least squares on their coordinates,
    one standard deviation of the feature coordinate being one of the result.
    """
    expect_shape("features", features, (points.shape[0], None))
    found = principal_components(features, count)
    centred = features.double() - features.double().mean(dim=0)
    coordinates = centred @ found.components.double().T  # [N, P]
    latents = points.double() - points.double().mean(dim=0)
    solution = torch.linalg.lstsq(coordinates, latents).solution  # [P, C]
    moved = solution * found.deviations.double()[:, None]  # by one standard deviation
    length = torch.linalg.vector_norm(moved, dim=1)
    usable = length > 0
    unit = torch.where(usable[:, None], moved / torch.where(usable, length, 1.0)[:, None], 0.0)
    return PrincipalComponents(unit.to(points.dtype), length.to(points.dtype))
