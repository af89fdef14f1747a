"""Trains heads from class probabilities of many latents.

The probabilities come from an image classifier that learned from a few labelled images and read
the rest of a bank: all layers of a latent are too many channels for 30 samples per class. Knows
nothing about images or files.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from editing.errors import EditingError
from editing.fitting import new_head
from editing.scoring import Head, StackedHeads, class_logits, stack_heads
from editing.shapes import expect_shape


@dataclass(frozen=True)
class DistilOptions:
    """How a head is distilled; docs/science.md has the measurements."""

    hidden_units: int = 32
    learning_rate: float = 3e-3  # the peak of one cycle
    weight_decay: float = 0.1  # decoupled
    epochs: int = 10
    batch: int = 256


def distil_heads(
    points: Tensor,  # [N, P], what the heads will read
    targets: Sequence[Tensor],  # per attribute [N, K], probabilities
    metric: Tensor | None = None,  # [S, P], a linear map in whose space all directions are alike
    seed: int = 0,
    options: DistilOptions | None = None,
    progress: Callable[[int], None] = lambda epochs: None,
) -> list[Head]:
    """A head of P channels per attribute; EditingError for fewer samples than one batch.

    With a metric the heads are trained on `points @ metric.T` (the styles of a StyleGAN, in which a
    unit of change is a unit in the image), then folded back to read points.
    """
    options = options or DistilOptions()
    samples, channels = points.shape
    if samples < options.batch:
        raise EditingError(f"points: expected at least {options.batch} samples, got {samples}")
    for target in targets:
        expect_shape("targets", target, (samples, None))
    if metric is not None:
        expect_shape("metric", metric, (None, channels))
    mapped = points if metric is None else points @ metric.T  # [N, S]
    center, scale = mapped.mean(dim=0), mapped.std().clamp_min(1e-6)
    classes = [target.shape[1] for target in targets]
    heads = _descend((mapped - center) / scale, _padded(targets), classes, seed, options, progress)
    return [_unscaled(head, center, scale, metric) for head in heads]


def _padded(targets: Sequence[Tensor]) -> Tensor:  # [N, A, K]
    most = max(target.shape[1] for target in targets)
    return torch.stack([pad(target, (0, most - target.shape[1])) for target in targets], dim=1)


def _descend(
    inputs: Tensor,  # [N, S]
    targets: Tensor,  # [N, A, K]
    classes: Sequence[int],
    seed: int,
    options: DistilOptions,
    progress: Callable[[int], None],
) -> list[Head]:
    """All heads side by side: they share batches and nothing else."""
    generator = torch.Generator().manual_seed(seed)
    samples, width = inputs.shape
    fresh = [new_head(width, count, options.hidden_units, generator) for count in classes]
    with torch.no_grad():
        heads = stack_heads(fresh)
    weights = [heads.hidden_weight, heads.hidden_bias, heads.class_weight, heads.class_bias]
    for weight in weights:
        weight.requires_grad_()
    optimizer = torch.optim.AdamW(
        weights, lr=options.learning_rate, weight_decay=options.weight_decay
    )
    batches = samples // options.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=options.epochs * batches
    )
    for epoch in range(options.epochs):
        order = torch.randperm(samples, generator=generator)
        for chosen in order[: batches * options.batch].split(options.batch):
            optimizer.zero_grad()
            _cross_entropy(heads, inputs[chosen], targets[chosen]).backward()
            optimizer.step()
            schedule.step()
        progress(epoch + 1)
    return [_head(heads, a, count) for a, count in enumerate(classes)]


def _cross_entropy(heads: StackedHeads, inputs: Tensor, targets: Tensor) -> Tensor:
    """Summed over attributes, so that each is trained as it would be alone."""
    log_probabilities = class_logits(heads, inputs).log_softmax(dim=2)
    present = heads.class_bias.isfinite()
    log_probabilities = log_probabilities.masked_fill(~present, 0.0)
    return -(targets * log_probabilities).sum(dim=(1, 2)).mean()


def _head(heads: StackedHeads, attribute: int, classes: int) -> Head:
    """One of them; of two classes only the difference counts, which is its single logit."""
    weight = heads.class_weight[attribute, :classes].detach()
    bias = heads.class_bias[attribute, :classes].detach()
    if classes == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    hidden, hidden_bias = heads.hidden_weight[attribute], heads.hidden_bias[attribute]
    return Head(hidden.detach(), hidden_bias.detach(), weight, bias)


def _unscaled(head: Head, center: Tensor, scale: Tensor, metric: Tensor | None) -> Head:
    """The same head for points as they come."""
    weight = head.hidden_weight / scale  # of mapped points
    folded = weight if metric is None else weight @ metric
    bias = head.hidden_bias - weight @ center
    return replace(head, hidden_weight=folded.contiguous(), hidden_bias=bias)
