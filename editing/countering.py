"""What a step adds against side effects that the heads do not see.

A walk changes other attributes in the image though its direction is off their rows: heads are no
more than estimates. Where such an effect was measured, each step also moves a little along the
gradient of the classes that walks lose, off the rows of every other attribute. Knows nothing about
how effects are measured.
"""

import torch
from torch import Tensor

from editing.masking import MaskedDirection, normalise
from editing.projection import solve_gram, unit_gram


def counter(
    found: MaskedDirection,
    rows: Tensor,  # [N, A, C], Jacobian rows of all attributes
    pulls: Tensor,  # [N, A, C], the way to go, per attribute; of any length
    shares: Tensor,  # [N, A], length of it, in lengths of the direction; 0 adds nothing
) -> MaskedDirection:
    """The direction, unit length, with what counters its side effects; a zero one stays zero.

    What is added for an attribute is orthogonal to the rows of all the others, the edited one
    among them; it heeds no mask.
    """
    units, _ = normalise(rows)
    ways, _ = normalise(_off_the_others(normalise(pulls)[0], units))
    added = torch.bmm(shares[:, None], ways)[:, 0]  # [N, C]
    moves = found.direction.abs().amax(dim=1, keepdim=True).sign()
    direction, _ = normalise((found.direction + added) * moves)
    return MaskedDirection(direction, found.masked_channels, found.kept_norm)


def _off_the_others(pulls: Tensor, units: Tensor) -> Tensor:  # [N, A, C]
    """Each pull without its part in the span of the other attributes' rows.

    Off all rows, and then its part along the dual of its own row is given back: that is orthogonal
    to all the others.
    """
    attributes = units.shape[1]
    eye = torch.eye(attributes, device=units.device, dtype=units.dtype).expand(len(units), -1, -1)
    along = torch.bmm(units, pulls.transpose(1, 2))  # [N, A, A], of row a and pull b
    solved = solve_gram(unit_gram(units), torch.cat([along, eye], dim=2))
    weights, inverse = solved.split(attributes, dim=2)
    own = (weights * eye).sum(dim=1) / (inverse * eye).sum(dim=1)  # [N, A], of the diagonals
    duals = torch.bmm(inverse, units)
    return pulls - torch.bmm(weights.transpose(1, 2), units) + own[:, :, None] * duals
