"""Rows of the Jacobian of the heads (paper, Eq. 2), in closed form.

Knows nothing about masks or steps. For a head with two linear layers the row of a class is
W1^T diag(leaky') W2^T v, so no autograd graph is built; a test holds it against autograd. The mean
of such a row over normal noise of the point (SmoothGrad, Smilkov et al. 2017) is one too: there
leaky' has its mean.
"""

import math

import torch
from torch import Tensor

from editing.scoring import NEGATIVE_SLOPE, Reading, StackedHeads, read_points
from editing.shapes import expect_shape


def combined_rows(heads: StackedHeads, latents: Tensor, weights: Tensor) -> Tensor:
    """Rows [N, A, C]: for each attribute the sum over classes of weights [N, A, K] times d logit_k.

    latents: [N, C]. With one-hot weights these are the logit rows of the Jacobian.
    """
    return weighted_rows_of(heads, read_points(heads, latents), weights)


def jacobian(heads: StackedHeads, latents: Tensor) -> Tensor:
    """All logit rows [N, A, K, C] of latents [N, C]; zero rows for absent classes."""
    samples = latents.shape[0]
    attributes, classes = heads.class_bias.shape
    one_hot = torch.eye(classes, device=latents.device, dtype=latents.dtype)
    rows = [
        combined_rows(heads, latents, one_hot[k].expand(samples, attributes, classes))
        for k in range(classes)
    ]
    return torch.stack(rows, dim=2)


def log_odds_rows(heads: StackedHeads, latents: Tensor, targets: Tensor) -> Tensor:
    """Gradients [N, A, C] of log(p / (1 - p)) of one class per attribute, targets [N, A].

    grad logit_j - sum over k != j of q_k grad logit_k, where q is the softmax over the other
    classes. It is parallel to the gradient of the probability (released code) and, for a binary
    attribute, equal to the signed gradient of its logit (paper, Eq. 2); unlike the probability
    it does not vanish when the head saturates.
    """
    return log_odds_rows_of(heads, read_points(heads, latents), targets)


def log_odds_rows_of(
    heads: StackedHeads,
    reading: Reading,
    targets: Tensor,
    unit_noise: Tensor | None = None,  # [N, A, U], 0 or more; None: 0
) -> Tensor:
    """The same of points that have been read, or its mean over noisy points.

    unit_noise: standard deviation of each hidden unit under that noise, see `unit_lengths`. The
    other classes keep the weights q that they have at the point itself.
    """
    expect_shape("targets", targets, reading.logits.shape[:2])
    chosen = targets.unsqueeze(2)
    others = reading.logits.scatter(2, chosen, -torch.inf).softmax(dim=2)  # zero at the target
    weights = (-others).scatter(2, chosen, 1.0)
    return weighted_rows_of(heads, reading, weights, unit_noise)


def unit_lengths(heads: StackedHeads) -> Tensor:
    """What normal noise of standard deviation 1 in every channel does to hidden units [A, U]."""
    return torch.linalg.vector_norm(heads.hidden_weight, dim=2)


def weighted_rows_of(
    heads: StackedHeads, reading: Reading, weights: Tensor, unit_noise: Tensor | None = None
) -> Tensor:
    """`combined_rows` of points that have been read, or their mean over noisy points.

    In memory attribute by attribute: that is how the products make them.
    """
    samples = reading.hidden.shape[0]
    expect_shape("weights", weights, (samples, *heads.class_bias.shape))
    of_units = torch.bmm(weights.transpose(0, 1), heads.class_weight)  # [A, N, U]
    hidden = reading.hidden.transpose(0, 1)
    if unit_noise is None:
        of_hidden = torch.ops.aten.leaky_relu_backward(of_units, hidden, NEGATIVE_SLOPE, False)
    else:
        of_hidden = of_units * _mean_slopes(hidden, unit_noise.transpose(0, 1))
    return torch.bmm(of_hidden, heads.hidden_weight).transpose(0, 1)


def _mean_slopes(hidden: Tensor, noise: Tensor) -> Tensor:
    """Of the leaky ReLU, over normal noise of a unit; without noise its slope at the unit."""
    deviations = hidden / noise.clamp_min(torch.finfo(noise.dtype).tiny)
    share = 0.5 + 0.5 * torch.erf(deviations * math.sqrt(0.5))  # of the noise that leaves it > 0
    return NEGATIVE_SLOPE + (1 - NEGATIVE_SLOPE) * share
