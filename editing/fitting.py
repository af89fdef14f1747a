"""Trains the head of one attribute from a few labelled latents.

Knows nothing about files, names or where labels come from. The paper trains on 30 samples per
value; the released code holds out 30 % of its samples, and so do we, for early stopping.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from editing.errors import EditingError
from editing.scoring import Head, class_logits, stack_heads
from editing.shapes import expect_shape


@dataclass(frozen=True)
class FitOptions:
    """How a head is trained; defaults chosen on `celeba` validation samples (docs/decisions.md)."""

    hidden_units: int = 16  # released code
    learning_rate: float = 0.01
    weight_decay: float = 0.05  # decoupled, on the weights
    max_epochs: int = 400  # full-batch Adam steps
    patience: int = 60  # epochs without a better held-out loss
    held_out: float = 0.3  # share of each class
    num_seeds: int = 8  # restarts, each with its own held-out samples; their logits are averaged


@dataclass(frozen=True)
class FittedHead:
    """The mean of all restarts, and how they did on their early-stopping samples."""

    head: Head  # num_seeds * hidden_units wide
    held_out_accuracy: float  # 0..1, mean over restarts
    held_out_loss: float  # cross entropy, nats, mean over restarts
    epochs: tuple[int, ...]  # training steps until the best held-out loss, per restart


@dataclass(frozen=True)
class _Fit:
    head: Head
    accuracy: float
    loss: float
    epochs: int


def fit_head(
    latents: Tensor,  # [N, C]
    labels: Tensor,  # [N], int64, 0..num_classes - 1
    num_classes: int,
    seed: int = 0,
    options: FitOptions | None = None,
    progress: Callable[[int], None] = lambda restart: None,
) -> FittedHead:
    """The mean of several restarts; raises EditingError if a class has fewer than 2 samples."""
    options = options or FitOptions()
    expect_shape("labels", labels, (latents.shape[0],))
    counts = torch.bincount(labels, minlength=num_classes).tolist()
    if len(counts) != num_classes or min(counts) < 2:
        raise EditingError(f"labels: expected at least 2 samples in each class, got {counts}")
    # One scale for all channels: in samples from the extremes, the channels that tell the classes
    # apart spread most, and a scale per channel would take that from them.
    center, scale = latents.mean(dim=0), latents.std().clamp_min(1e-6)
    scaled = (latents - center) / scale
    fits: list[_Fit] = []
    for restart in range(options.num_seeds):
        generator = torch.Generator().manual_seed(seed * 1000 + restart)
        train = _training_mask(labels, num_classes, options.held_out, generator)
        fits.append(_fit_once(scaled, labels, num_classes, train, generator, options))
        progress(restart)
    return FittedHead(
        _unscale(average_heads([fit.head for fit in fits]), center, scale),
        sum(fit.accuracy for fit in fits) / len(fits),
        sum(fit.loss for fit in fits) / len(fits),
        tuple(fit.epochs for fit in fits),
    )


def average_heads(heads: Sequence[Head]) -> Head:
    """One head whose logits are the mean of the logits of heads of equal class count.

    The hidden units stand side by side, so the mean is again two fully connected layers.
    """
    return Head(
        torch.cat([head.hidden_weight for head in heads]),
        torch.cat([head.hidden_bias for head in heads]),
        torch.cat([head.class_weight for head in heads], dim=1) / len(heads),
        torch.stack([head.class_bias for head in heads]).mean(dim=0),
    )


def predicted_classes(head: Head, latents: Tensor) -> Tensor:
    """Most likely class [N] of latents [N, C]."""
    return class_logits(stack_heads([head]), latents)[:, 0].argmax(dim=1)


def _training_mask(
    labels: Tensor, num_classes: int, held_out: float, generator: torch.Generator
) -> Tensor:
    """Bool [N]: a random share of each class is kept out, at least one sample of each."""
    train = torch.ones_like(labels, dtype=torch.bool)
    for k in range(num_classes):
        members = torch.nonzero(labels == k).squeeze(1)
        order = torch.randperm(len(members), generator=generator)
        train[members[order[: max(1, round(held_out * len(members)))]]] = False
    return train


def _fit_once(
    latents: Tensor,
    labels: Tensor,
    num_classes: int,
    train: Tensor,
    generator: torch.Generator,
    options: FitOptions,
) -> _Fit:
    head = new_head(latents.shape[1], num_classes, options.hidden_units, generator)
    weights = [head.hidden_weight, head.class_weight]
    optimizer = torch.optim.AdamW(
        [
            {"params": weights, "weight_decay": options.weight_decay},
            {"params": [head.hidden_bias, head.class_bias], "weight_decay": 0.0},
        ],
        lr=options.learning_rate,
    )
    best_loss, best_epoch, best_head = float("inf"), 0, _detached(head)
    for epoch in range(options.max_epochs):
        optimizer.zero_grad()
        _loss(head, latents[train], labels[train]).backward()
        optimizer.step()
        with torch.no_grad():
            loss = float(_loss(head, latents[~train], labels[~train]))
        if loss < best_loss:
            best_loss, best_epoch, best_head = loss, epoch + 1, _detached(head)
        elif epoch + 1 - best_epoch >= options.patience:
            break
    hits = predicted_classes(best_head, latents[~train]) == labels[~train]
    return _Fit(best_head, float(hits.double().mean()), best_loss, best_epoch)


def new_head(channels: int, num_classes: int, units: int, generator: torch.Generator) -> Head:
    """A head before training, its weights drawn as torch.nn.Linear draws them."""
    logits = 1 if num_classes == 2 else num_classes

    def uniform(rows: int, columns: int) -> Tensor:
        bound = columns**-0.5  # the bound that torch.nn.Linear starts from
        drawn = torch.rand(rows, columns, generator=generator) * 2 * bound - bound
        return drawn.requires_grad_()

    zeros = [torch.zeros(n, requires_grad=True) for n in (units, logits)]
    return Head(uniform(units, channels), zeros[0], uniform(logits, units), zeros[1])


def _loss(head: Head, latents: Tensor, labels: Tensor) -> Tensor:
    logits = class_logits(stack_heads([head]), latents)[:, 0]  # [N, K]
    return functional.cross_entropy(logits, labels)


def _detached(head: Head) -> Head:
    return Head(
        head.hidden_weight.detach().clone(),
        head.hidden_bias.detach().clone(),
        head.class_weight.detach().clone(),
        head.class_bias.detach().clone(),
    )


def _unscale(head: Head, center: Tensor, scale: Tensor) -> Head:
    """The same function of raw latents: the standardisation moves into the first layer."""
    weight = head.hidden_weight / scale
    return replace(
        head,
        hidden_weight=weight,
        hidden_bias=head.hidden_bias - weight @ center,
    )
