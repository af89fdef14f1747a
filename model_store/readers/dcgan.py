"""Reads DCGAN state dicts: PyTorch tutorial names (main.N.*) or named layers (convTrN, batchNormN).

Never runs code of the file: torch's weights-only loader. Sizes come from the weights.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from model_store.cards import ModelCard, Provenance
from model_store.errors import CheckpointError
from model_store.files import sha256_of
from model_store.networks.dcgan import Dcgan

BATCH_NORM_EPS = 1e-5  # torch.nn.BatchNorm2d
KERNEL = 4
_WRAPPERS = ("netG_state_dict", "state_dict", "generator")
_NAMED = re.compile(r"^(convTr|batchNorm)(\d+)\.(\w+)$")
_SEQUENTIAL = re.compile(r"^main\.(\d+)\.(\w+)$")
_NORM_KEYS = frozenset({"weight", "bias", "running_mean", "running_var"})

Layer = dict[str, Tensor]


def read_dcgan(path: Path, name: str = "dcgan", licence: str = "unknown") -> Dcgan:
    """The generator of a DCGAN checkpoint; raises CheckpointError naming what is wrong."""
    state = _load_state(path)
    convolutions, norms = _split_layers(state)
    channels = [tuple(c["weight"].shape) for c in convolutions]
    _check_sizes(path, channels)
    weights, biases = [], []
    for i, convolution in enumerate(convolutions):
        weight, bias = _fold(convolution, norms[i] if i < len(norms) else None, i)
        weights.append(weight)
        biases.append(bias)
    card = ModelCard(
        name=name,
        family="dcgan",
        resolution=KERNEL * 2 ** (len(convolutions) - 1),
        z_dim=channels[0][0],
        spaces=("z",),
        provenance=Provenance(
            source=path.name,
            source_sha256=sha256_of(path),
            licence=licence,
            notes="batch normalisation folded into the convolutions",
        ),
    )
    return Dcgan(card, weights, biases)


def _load_state(path: Path) -> Mapping[str, Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for broken or refused files
        raise CheckpointError(f"{path.name}: not a weights-only torch file: {error}") from error
    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
            break
    if not isinstance(loaded, Mapping) or not loaded:
        raise CheckpointError(f"{path.name}: expected a state dict, found {type(loaded).__name__}")
    for key, value in loaded.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{path.name}: {key!r} is not a named tensor")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise CheckpointError(f"{path.name}: {key} holds NaN or infinity")
    return loaded


def _split_layers(state: Mapping[str, Tensor]) -> tuple[list[Layer], list[Layer]]:
    """Convolutions and batch norms in order, whatever they are called."""
    groups: dict[tuple[str, int], Layer] = {}
    for key, tensor in state.items():
        named, sequential = _NAMED.match(key), _SEQUENTIAL.match(key)
        if named:
            group, leaf = (named[1], int(named[2])), named[3]
        elif sequential:
            group, leaf = ("main", int(sequential[1])), sequential[2]
        else:
            raise CheckpointError(f"unknown tensor {key!r} in a DCGAN checkpoint")
        if leaf != "num_batches_tracked":
            groups.setdefault(group, {})[leaf] = tensor.float()
    ordered = [groups[group] for group in sorted(groups, key=lambda g: g[1])]
    norms = [layer for layer in ordered if "running_mean" in layer]
    convolutions = [layer for layer in ordered if "running_mean" not in layer]
    for layer in convolutions:
        if "weight" not in layer or layer["weight"].ndim != 4:
            raise CheckpointError("a convolution has no [C_in, C_out, 4, 4] weight")
    for layer in norms:
        if missing := _NORM_KEYS - layer.keys():
            raise CheckpointError(f"a batch norm lacks {sorted(missing)}")
    if len(norms) != len(convolutions) - 1:
        raise CheckpointError(
            f"expected a batch norm after all convolutions but the last, "
            f"found {len(convolutions)} convolutions and {len(norms)} batch norms"
        )
    return convolutions, norms


def _check_sizes(path: Path, shapes: list[tuple[int, ...]]) -> None:
    outputs = [shape[1] for shape in shapes]
    inputs = [shape[0] for shape in shapes]
    fits = inputs[1:] == outputs[:-1] and outputs[-1] == 3
    if len(shapes) < 2 or not fits or any(shape[2:] != (KERNEL, KERNEL) for shape in shapes):
        raise CheckpointError(
            f"{path.name}: expected 4x4 transposed convolutions that chain to 3 channels, "
            f"found shapes {[list(shape) for shape in shapes]}"
        )


def _fold(convolution: Layer, norm: Layer | None, index: int) -> tuple[Tensor, Tensor]:
    """Weight and bias that do what the convolution and its eval-mode batch norm do."""
    weight = convolution["weight"]
    bias = convolution.get("bias", weight.new_zeros(weight.shape[1]))
    if norm is None:
        return weight, bias
    if norm["running_mean"].shape != bias.shape:
        raise CheckpointError(f"batch norm {index}: {norm['running_mean'].shape[0]} channels")
    gain = norm["weight"] / (norm["running_var"] + BATCH_NORM_EPS).sqrt()
    return weight * gain[None, :, None, None], (bias - norm["running_mean"]) * gain + norm["bias"]
