"""Heads as safetensors: `<attribute>.hidden.weight` and so on. Knows nothing about training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from editing import EditingError, Head, StackedHeads, stack_heads, widen
from model_store.cards import AttributeCard, HeadsRead, ModelCard
from model_store.errors import CorruptModelError
from model_store.files import write_tensors

_PARTS = {
    "hidden.weight": "hidden_weight",
    "hidden.bias": "hidden_bias",
    "logits.weight": "class_weight",
    "logits.bias": "class_bias",
}


def save_heads(heads: Mapping[str, Head], path: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write heads by attribute name."""
    tensors = {
        f"{name}.{part}": getattr(head, field).to(dtype)
        for name, head in heads.items()
        for part, field in _PARTS.items()
    }
    write_tensors(tensors, path)


def read_heads(path: Path, attributes: Sequence[AttributeCard]) -> dict[str, Head]:
    """Heads of the card's attributes; CorruptModelError names what is missing or does not fit."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CorruptModelError(f"{path.name}: {error}") from error
    wanted = {f"{attribute.name}.{part}" for attribute in attributes for part in _PARTS}
    if wanted != tensors.keys():
        raise CorruptModelError(
            f"{path.name}: missing {sorted(wanted - tensors.keys())}, "
            f"unknown {sorted(tensors.keys() - wanted)}"
        )
    heads = {}
    for attribute in attributes:
        parts = {  # half precision on the disk is widened here
            field: tensors[f"{attribute.name}.{part}"].float() for part, field in _PARTS.items()
        }
        heads[attribute.name] = Head(**parts)
        if heads[attribute.name].num_classes != len(attribute.classes):
            raise CorruptModelError(
                f"{path.name}: {attribute.name} has {heads[attribute.name].num_classes} classes, "
                f"its card names {list(attribute.classes)}"
            )
    return heads


def with_equal_reach(
    heads: Mapping[str, Head], card: ModelCard
) -> tuple[dict[str, Head], HeadsRead]:
    """Heads that all read as many channels, and what they read.

    Where one reads all layers the others are made to read the mean of all layers.
    """
    layers, channels = card.latent_shape
    if all(head.num_channels == channels for head in heads.values()):
        return dict(heads), "one_layer"
    wide = {
        name: replace(head, hidden_weight=widen(head.hidden_weight, layers))
        if head.num_channels == channels
        else head
        for name, head in heads.items()
    }
    return wide, "all_layers"


def stack_by_card(heads: Mapping[str, Head], attributes: Sequence[AttributeCard]) -> StackedHeads:
    """All heads as one batch of classifiers, in the order of the card."""
    try:
        return stack_heads([heads[attribute.name] for attribute in attributes])
    except EditingError as error:
        raise CorruptModelError(f"classifiers.safetensors: {error}") from error
