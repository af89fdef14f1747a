"""genforce's StyleGAN2 state dicts: `generator_smooth` at the top or under `models`."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from model_store.errors import CheckpointError
from model_store.networks.mapping import MappingOptions
from model_store.networks.stylegan2_layout import Stylegan2Options
from model_store.readers.network_parts import NetworkParts, load_tensors, raw_state
from model_store.readers.stylegan2_names import merge_filters

GENERATOR = "generator_smooth"
_DENSE = re.compile(r"^mapping\.dense(\d{1,2})\.(weight|bias)$")
_FILTER = re.compile(
    r"^synthesis\.(layer\d{1,2}\.filter|skip_layer\d{1,2}\.filter|upsample)\.kernel$"
)
_LAYER = re.compile(r"^synthesis\.(layer|output|skip_layer)(\d{1,2})\.(.+)$")
_PARTS = {
    "weight": "weight",
    "bias": "bias",
    "style.weight": "affine.weight",
    "style.bias": "affine.bias",
    "noise": "noise_const",
    "noise_strength": "noise_strength",
}


def generator_of(value: Mapping[str, Any]) -> Any:
    """The averaged generator's state dict, wherever it is; None if there is none."""
    models = value.get("models")
    nested = models.get(GENERATOR) if isinstance(models, dict) else None
    return value.get(GENERATOR, nested)


def read_genforce(value: Mapping[str, Any], file_bytes: int) -> NetworkParts:
    """Parts of `generator_smooth`."""
    loaded = load_tensors(raw_state(generator_of(value), GENERATOR), file_bytes)
    tensors: dict[str, Tensor] = {}
    for name, tensor in loaded.items():
        canonical, converted = _canonical(name, tensor)
        tensors[canonical] = converted
    options = Stylegan2Options(MappingOptions(label_input="concat"))
    return NetworkParts("stylegan2", merge_filters(tensors), options)


def _canonical(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    if match := _DENSE.match(name):
        return f"mapping.fc{match[1]}.{match[2]}", tensor
    if name == "mapping.label_weight":
        return "mapping.embed.weight", tensor.T.contiguous()
    if name == "truncation.w_avg":
        return "mapping.w_avg", tensor
    if name == "synthesis.early_layer.const":
        return "synthesis.b4.const", tensor.squeeze(0)
    if match := _FILTER.match(name):
        gain = 4  # of an upsampling by two, kept in the kernel
        return f"synthesis.{match[1]}.resample_filter", tensor.squeeze(0).squeeze(0) / gain
    match = _LAYER.match(name)
    if match is None or match[3] not in _PARTS:
        raise CheckpointError(f"unknown tensor {name!r}")
    layer, part = _layer_name(match[1], int(match[2])), _PARTS[match[3]]
    return f"synthesis.{layer}.{part}", _converted(layer, part, tensor)


def _converted(layer: str, part: str, tensor: Tensor) -> Tensor:
    if part == "noise_const":
        return tensor.squeeze(0).squeeze(0)
    if part == "noise_strength" and tensor.numel() == 1:
        return tensor.reshape(())
    if part == "affine.bias":
        return tensor + 1  # added at run time there
    if part == "weight" and layer.endswith("conv0"):
        return tensor.flip((2, 3))  # kept as TensorFlow has it
    return tensor


def _layer_name(kind: str, index: int) -> str:
    """b{R}.conv0, conv1, torgb or skip; layer 0 is b4.conv1, then two to every block."""
    if kind == "output":
        return f"b{4 << index}.torgb"
    if kind == "skip_layer":
        return f"b{8 << index}.skip"
    if index == 0:
        return "b4.conv1"
    return f"b{4 << ((index + 1) // 2)}.conv{(index + 1) % 2}"
