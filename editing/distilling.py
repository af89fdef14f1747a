"""Trains heads from class probabilities of many latents.

The probabilities come from an image classifier that learned from a few labelled images and read
the rest of a bank: all layers of a latent are too many channels for 30 samples per class. Knows
nothing about images or files.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from editing.errors import EditingError
from editing.fitting import new_head
from editing.scoring import Head, class_logits, stack_heads
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
    progress: Callable[[int], None] = lambda done: None,
) -> list[Head]:
    """A head of P channels per attribute; EditingError for fewer samples than one batch.

    With a metric the heads are trained on `points @ metric.T` (the styles of a StyleGAN, in which a
    unit of change is a unit in the image), then folded back to read points.
    """
    options = options or DistilOptions()
    samples, channels = points.shape
    if samples < options.batch:
        raise EditingError(f"points: expected at least {options.batch} samples, got {samples}")
    if metric is not None:
        expect_shape("metric", metric, (None, channels))
    mapped = points if metric is None else points @ metric.T  # [N, S]
    center, scale = mapped.mean(dim=0), mapped.std().clamp_min(1e-6)
    inputs = (mapped - center) / scale
    heads = []
    for a, target in enumerate(targets):
        expect_shape("targets", target, (samples, None))
        head = _descend(inputs, target, seed, options)
        heads.append(_unscaled(head, center, scale, metric))
        progress(a + 1)
    return heads


def _unscaled(head: Head, center: Tensor, scale: Tensor, metric: Tensor | None) -> Head:
    """The same head for points as they come."""
    weight = head.hidden_weight / scale  # of mapped points
    folded = weight if metric is None else weight @ metric
    bias = head.hidden_bias - weight @ center
    return replace(head, hidden_weight=folded.contiguous(), hidden_bias=bias)


def _descend(inputs: Tensor, targets: Tensor, seed: int, options: DistilOptions) -> Head:
    generator = torch.Generator().manual_seed(seed)
    samples, classes = targets.shape
    head = new_head(inputs.shape[1], classes, options.hidden_units, generator)
    weights = [head.hidden_weight, head.hidden_bias, head.class_weight, head.class_bias]
    optimizer = torch.optim.AdamW(
        weights, lr=options.learning_rate, weight_decay=options.weight_decay
    )
    batches = samples // options.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=options.epochs * batches
    )
    for _ in range(options.epochs):
        order = torch.randperm(samples, generator=generator)
        for chosen in order[: batches * options.batch].split(options.batch):
            optimizer.zero_grad()
            _cross_entropy(head, inputs[chosen], targets[chosen]).backward()
            optimizer.step()
            schedule.step()
    return Head(*(weight.detach() for weight in weights))


def _cross_entropy(head: Head, inputs: Tensor, targets: Tensor) -> Tensor:
    log_probabilities = class_logits(stack_heads([head]), inputs)[:, 0].log_softmax(dim=1)
    return -(targets * log_probabilities).sum(dim=1).mean()
