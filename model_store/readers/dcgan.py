"""Reads DCGAN state dicts: PyTorch tutorial names (main.N.*) or named layers (convTrN, batchNormN).

Sizes come from the weights.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from model_store.cards import ModelCard, Provenance
from model_store.errors import CheckpointError
from model_store.files import map_file, sha256_of
from model_store.networks.dcgan import Dcgan
from model_store.readers.network_parts import load_tensors, raw_state
from model_store.readers.raw_values import RawTensor
from model_store.readers.torch_files import read_torch

BATCH_NORM_EPS = 1e-5  # torch.nn.BatchNorm2d
KERNEL = 4
_WRAPPERS = ("netG_state_dict", "state_dict", "generator")
_UNUSED = ".num_batches_tracked"  # counts training steps
_NAMED = re.compile(r"^(convTr|batchNorm)(\d+)\.(\w+)$")
_SEQUENTIAL = re.compile(r"^main\.(\d+)\.(\w+)$")
_NORM_KEYS = frozenset({"weight", "bias", "running_mean", "running_var"})

Layer = dict[str, Tensor]


def read_dcgan(path: Path, name: str = "dcgan", licence: str = "unknown") -> Dcgan:
    """The generator of a DCGAN checkpoint; raises CheckpointError naming what is wrong."""
    try:
        data = map_file(path)
        return dcgan_of_state(path, state_of(read_torch(data), len(data)), name, licence)
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from error


def is_state(value: Any) -> bool:
    """Whether this is a state dict, or one in a wrapper that DCGANs come in."""
    found = _unwrap(value)
    return isinstance(found, dict) and any(isinstance(v, RawTensor) for v in found.values())


def state_of(value: Any, file_bytes: int) -> dict[str, Tensor]:
    """The generator's tensors, wherever the file keeps them."""
    raw = raw_state(_unwrap(value), "the file")
    return load_tensors({k: v for k, v in raw.items() if not k.endswith(_UNUSED)}, file_bytes)


def _unwrap(value: Any) -> Any:
    for wrapper in _WRAPPERS:
        if isinstance(value, dict) and isinstance(value.get(wrapper), dict):
            return value[wrapper]
    return value


def dcgan_of_state(path: Path, state: Mapping[str, Tensor], name: str, licence: str) -> Dcgan:
    """The generator of a DCGAN's tensors; raises CheckpointError naming what is wrong."""
    convolutions, norms = _split_layers(state)
    channels = [tuple(c["weight"].shape) for c in convolutions]
    _check_sizes(channels)
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
        groups.setdefault(group, {})[leaf] = tensor
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


def _check_sizes(shapes: list[tuple[int, ...]]) -> None:
    outputs = [shape[1] for shape in shapes]
    inputs = [shape[0] for shape in shapes]
    fits = inputs[1:] == outputs[:-1] and outputs[-1] == 3
    if len(shapes) < 2 or not fits or any(shape[2:] != (KERNEL, KERNEL) for shape in shapes):
        raise CheckpointError(
            f"expected 4x4 transposed convolutions that chain to 3 channels, "
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
