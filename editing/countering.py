"""What a step adds against side effects that the heads do not see.

A walk changes other attributes in the image though its direction is off their rows: heads are no
more than estimates. Where such an effect was measured, each step also moves a little along the
gradient of the classes that walks lose, off the rows of every other attribute. Knows nothing about
how effects are measured.
"""

import torch
from torch import Tensor

from editing.masking import MaskedDirection, normalise
from editing.projection import NEGLIGIBLE, ridge_of, solve_gram


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
    both = torch.cat([rows, pulls], dim=1)  # [N, 2 A, C]
    lengths = torch.linalg.vector_norm(both, dim=2)  # [N, 2 A]
    inverse = torch.where(lengths > 0, 1 / lengths, 0.0)
    products = torch.bmm(both, both.transpose(1, 2))
    weights = inverse * _weights(products * inverse[:, :, None] * inverse[:, None], shares)
    added = torch.bmm(weights[:, None], both)[:, 0]  # [N, C]
    moves = found.direction.abs().amax(dim=1, keepdim=True).sign()
    direction, _ = normalise((found.direction + added) * moves)
    return MaskedDirection(direction, found.masked_channels, found.kept_norm)


def _weights(products: Tensor, shares: Tensor) -> Tensor:
    """Of unit rows and then unit pulls [N, 2 A], whose sum is what is added.

    products: their inner products [N, 2 A, 2 A]. A pull goes off all rows, and then its part along
    the dual of its own row is given back: that is orthogonal to all the others.
    """
    size = shares.shape[1]
    gram, along = products[:, :size, :size], products[:, :size, size:]  # of rows; row and pull
    eye = torch.eye(size, device=gram.device, dtype=gram.dtype)
    solved = solve_gram(gram + ridge_of(gram), torch.cat([along, eye.expand_as(gram)], dim=2))
    spans, duals = solved.split(size, dim=2)
    own = (spans * eye).sum(dim=1) / (duals * eye).sum(dim=1)  # [N, A], of the diagonals
    of_rows = own[:, None] * duals - spans  # [N, A, A], of row a beside pull b
    squares = 1 + (of_rows * (2 * along + torch.bmm(gram, of_rows))).sum(dim=1)
    lengths = squares.clamp_min(0).sqrt()  # [N, A], of what is left of a unit pull
    factors = torch.where(lengths > NEGLIGIBLE, shares / lengths, 0.0)
    return torch.cat([torch.bmm(of_rows, factors[:, :, None])[:, :, 0], factors], dim=1)
