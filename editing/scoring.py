"""Attribute classifiers on latents: two fully connected layers each (paper, section 4.1).

Knows nothing about attribute names, files or images: attributes and classes are indices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from editing.errors import ShapeError
from editing.shapes import expect_shape

NEGATIVE_SLOPE = 0.1  # of the leaky ReLU; released GradCtrl code, class Classifier


@dataclass(frozen=True)
class Head:
    """The classifier of one attribute.

    A binary attribute has one logit, d_k = 1 (paper, Eq. 2): positive means its second class.
    A multi-class attribute has one logit per class.
    """

    hidden_weight: Tensor  # [U, C]
    hidden_bias: Tensor  # [U]
    class_weight: Tensor  # [d_k, U]
    class_bias: Tensor  # [d_k]

    @property
    def num_channels(self) -> int:
        """Channels that it reads."""
        return self.hidden_weight.shape[1]

    @property
    def num_classes(self) -> int:
        """Two for a single logit, else one per logit."""
        return max(2, self.class_weight.shape[0])


@dataclass(frozen=True)
class StackedHeads:
    """All attributes of a model as one batch of classifiers.

    Binary heads get a constant zero logit for their first class, so that softmax over the two
    equals the sigmoid of the one. Absent classes have a bias of -inf: their probability is 0.
    """

    hidden_weight: Tensor  # [A, U, C]
    hidden_bias: Tensor  # [A, U]
    class_weight: Tensor  # [A, K, U]
    class_bias: Tensor  # [A, K]

    @property
    def num_attributes(self) -> int:
        """A, the number of attributes."""
        return self.hidden_weight.shape[0]

    @property
    def num_channels(self) -> int:
        """C, the number of channels of the latents these heads read."""
        return self.hidden_weight.shape[2]

    def of(self, attributes: Tensor) -> "StackedHeads":
        """The heads of some attributes, int64 [B], in that order."""
        return StackedHeads(
            self.hidden_weight[attributes],
            self.hidden_bias[attributes],
            self.class_weight[attributes],
            self.class_bias[attributes],
        )

    def first(self, number: int) -> "StackedHeads":
        """The first so many heads, without a copy."""
        return StackedHeads(
            self.hidden_weight[:number],
            self.hidden_bias[:number],
            self.class_weight[:number],
            self.class_bias[:number],
        )

    def to(self, device: torch.device | str, dtype: torch.dtype) -> "StackedHeads":
        """The same heads on another device, in another dtype."""
        return StackedHeads(
            *(
                tensor.to(device, dtype)
                for tensor in (
                    self.hidden_weight,
                    self.hidden_bias,
                    self.class_weight,
                    self.class_bias,
                )
            )
        )


@dataclass(frozen=True)
class Reading:
    """What heads make of points: one pass serves scores and gradients."""

    hidden: Tensor  # [N, A, U], hidden units before the leaky ReLU
    logits: Tensor  # [N, A, K]; -inf for classes that an attribute does not have

    @property
    def probabilities(self) -> Tensor:
        """[N, A, K], summing to 1 over K."""
        return self.logits.softmax(dim=2)


def stack_heads(heads: Sequence[Head]) -> StackedHeads:
    """One batch of classifiers, padded to the widest head; raises ShapeError if C differs."""
    if not heads:
        raise ShapeError("heads: expected at least one head, got none")
    channels = heads[0].hidden_weight.shape[1]
    width = max(head.hidden_weight.shape[0] for head in heads)
    classes = max(head.num_classes for head in heads)
    zeros = heads[0].hidden_weight.new_zeros
    stacked = StackedHeads(
        zeros(len(heads), width, channels),
        zeros(len(heads), width),
        zeros(len(heads), classes, width),
        torch.full_like(zeros(len(heads), classes), -torch.inf),
    )
    for a, head in enumerate(heads):
        units, logits = head.hidden_weight.shape[0], head.class_weight.shape[0]
        expect_shape("hidden_weight", head.hidden_weight, (units, channels))
        expect_shape("class_weight", head.class_weight, (logits, units))
        first = head.num_classes - logits  # 1 for a single logit: class 0 stays at zero
        stacked.hidden_weight[a, :units] = head.hidden_weight
        stacked.hidden_bias[a, :units] = head.hidden_bias
        stacked.class_bias[a, : head.num_classes] = 0
        stacked.class_weight[a, first : head.num_classes, :units] = head.class_weight
        stacked.class_bias[a, first : head.num_classes] = head.class_bias
    return stacked


def read_points(heads: StackedHeads, latents: Tensor) -> Reading:
    """What the heads make of latents [N, C]."""
    expect_shape("latents", latents, (None, heads.num_channels))
    weight, bias = heads.hidden_weight.flatten(0, 1), heads.hidden_bias.flatten()  # [A * U, ...]
    hidden = torch.addmm(bias, latents, weight.T).unflatten(1, heads.hidden_bias.shape)
    units = functional.leaky_relu(hidden, NEGATIVE_SLOPE).transpose(0, 1)  # [A, N, U]
    logits = torch.baddbmm(heads.class_bias[:, None], units, heads.class_weight.transpose(1, 2))
    return Reading(hidden, logits.transpose(0, 1))


def class_logits(heads: StackedHeads, latents: Tensor) -> Tensor:
    """Logits [N, A, K] of latents [N, C]; -inf for classes that an attribute does not have."""
    return read_points(heads, latents).logits


def class_probabilities(heads: StackedHeads, latents: Tensor) -> Tensor:
    """Probabilities [N, A, K] of latents [N, C], summing to 1 over K."""
    return read_points(heads, latents).probabilities


def log_odds(logits: Tensor) -> Tensor:
    """log(p / (1 - p)) of every class of logits [..., K]; -inf for classes that do not exist."""
    classes = logits.shape[-1]
    others = logits.unsqueeze(-2).expand(*logits.shape, classes)  # [..., K, K]
    own = torch.eye(classes, dtype=torch.bool, device=logits.device)
    rest = others.masked_fill(own, -torch.inf).logsumexp(dim=-1)  # [..., K]
    return logits - rest


def log_odds_of(logits: Tensor, classes: Tensor) -> Tensor:
    """The same [N] of one class each: logits [N, K], classes [N]."""
    chosen = classes[:, None]
    rest = logits.scatter(1, chosen, -torch.inf).logsumexp(dim=1)
    return logits.gather(1, chosen)[:, 0] - rest
