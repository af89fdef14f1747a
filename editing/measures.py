"""What an edit did to the labels of an image (paper, section 4.2); labels in, rates out."""

from dataclasses import dataclass

import torch
from torch import Tensor

from editing.shapes import expect_shape


@dataclass(frozen=True)
class EditRates:
    """Rates over the edits of one attribute, 0..1, with the number of edits behind them."""

    success: float  # the target class was reached
    accuracy: float  # ... and every other attribute kept its class (paper, Table 1)
    count: int


def edit_rates(
    before: Tensor,  # [N, A], int64, class of each attribute before the edit
    after: Tensor,  # [N, A], int64, after the edit
    attribute: Tensor,  # [N], int64, edited attribute
    target: Tensor,  # [N], int64, its target class
) -> dict[int, EditRates]:
    """Rates per edited attribute, judged by labels of the images."""
    samples, attributes = before.shape
    expect_shape("after", after, (samples, attributes))
    rows = torch.arange(samples)
    reached = after[rows, attribute] == target
    same = before == after
    same[rows, attribute] = True
    accurate = reached & same.all(dim=1)
    rates = {}
    for a in attribute.unique().tolist():
        chosen = attribute == a
        rates[a] = EditRates(
            success=reached[chosen].double().mean().item(),
            accuracy=accurate[chosen].double().mean().item(),
            count=int(chosen.sum()),
        )
    return rates
