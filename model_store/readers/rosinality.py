"""rosinality's StyleGAN2 state dicts, alone (`g_ema`) or as the decoder of e4e, pSp and ReStyle."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from model_store.errors import CheckpointError
from model_store.networks.mapping import MappingOptions
from model_store.networks.stylegan2_layout import Stylegan2Options
from model_store.readers.network_parts import NetworkParts, load_tensors, raw_state
from model_store.readers.raw_values import Raw
from model_store.readers.stylegan2_names import AVERAGED_SAMPLES, measured_average, merge_filters

DECODER = "decoder."
_KERNEL = re.compile(r"^(convs\.\d+\.conv\.blur|to_rgbs\.\d+\.upsample)\.kernel$")
_STYLE = re.compile(r"^style\.(\d+)\.(weight|bias)$")
_NOISE = re.compile(r"^noises\.noise_(\d+)$")
_LAYER = re.compile(r"^(conv1|to_rgb1|convs\.\d+|to_rgbs\.\d+)\.(.+)$")
_PARTS = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "activate.bias": "bias",
    "noise.weight": "noise_strength",
    "bias": "bias",  # of a ToRGB
}


def read_rosinality(value: Mapping[str, Any], file_bytes: int) -> NetworkParts:
    """Parts of `g_ema`, with `latent_avg` where there is one."""
    return _read(raw_state(value["g_ema"], "g_ema"), value.get("latent_avg"), file_bytes)


def has_decoder(value: Mapping[str, Any]) -> bool:
    """Whether this is an encoder's checkpoint with the generator in it."""
    state = value.get("state_dict")
    return isinstance(state, dict) and any(str(name).startswith(DECODER) for name in state)


def read_encoder_decoder(value: Mapping[str, Any], file_bytes: int) -> NetworkParts:
    """Parts of the decoder of an encoder's checkpoint; the encoder itself is left out."""
    state = raw_state(value["state_dict"], "state_dict")
    decoder = {
        name.removeprefix(DECODER): tensor
        for name, tensor in state.items()
        if name.startswith(DECODER)
    }
    return _read(decoder, value.get("latent_avg"), file_bytes)


def _read(state: Mapping[str, Raw], average: Any, file_bytes: int) -> NetworkParts:
    options = MappingOptions()
    raw = dict(state)
    if average is not None:
        raw["latent_avg"] = raw_state({"latent_avg": average}, "the file")["latent_avg"]
    loaded = load_tensors(raw, file_bytes)
    stored = loaded.pop("latent_avg", None)
    tensors: dict[str, Tensor] = {}
    for name, tensor in loaded.items():
        canonical, converted = _canonical(name, tensor)
        tensors[canonical] = converted
    tensors = merge_filters(tensors)
    notes = ""
    if stored is None:
        notes = f"no latent_avg in the file: the mean of {AVERAGED_SAMPLES} seeded samples"
        tensors["mapping.w_avg"] = measured_average(tensors, options)
    else:
        tensors["mapping.w_avg"] = _single_average(stored)
    return NetworkParts("stylegan2", tensors, Stylegan2Options(options), notes=notes)


def _single_average(stored: Tensor) -> Tensor:
    """[w_dim] of [w_dim], or of [num_ws, w_dim] with equal rows."""
    rows = stored.reshape(-1, stored.shape[-1]) if stored.ndim else stored.reshape(1, 1)
    if not torch.allclose(rows, rows[:1].expand_as(rows), atol=1e-6):
        raise CheckpointError("latent_avg: expected one mean for all layers")
    return rows[0].contiguous()


def _canonical(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    if match := _STYLE.match(name):
        return f"mapping.fc{int(match[1]) - 1}.{match[2]}", tensor
    if name == "input.input":
        return "synthesis.b4.const", tensor.squeeze(0)
    if match := _NOISE.match(name):
        prefix = "conv1" if match[1] == "0" else f"convs.{int(match[1]) - 1}"
        return f"synthesis.{_layer_name(prefix)}.noise_const", tensor.squeeze(0).squeeze(0)
    if match := _KERNEL.match(name):
        gain = 4  # of an upsampling by two, kept in the kernel
        return f"synthesis.{match[1]}.resample_filter", tensor / gain
    match = _LAYER.match(name)
    if match and match[2] in _PARTS:
        part = _PARTS[match[2]]
        if part == "weight":
            tensor = tensor.squeeze(0)
        elif (part == "noise_strength" and tensor.numel() == 1) or (
            part == "bias" and tensor.ndim > 1
        ):
            tensor = tensor.reshape(() if part == "noise_strength" else (-1,))
        return f"synthesis.{_layer_name(match[1])}.{part}", tensor
    raise CheckpointError(f"unknown tensor {name!r}")


def _layer_name(prefix: str) -> str:
    """b{R}.conv0, b{R}.conv1 or b{R}.torgb of conv1, to_rgb1, convs.k and to_rgbs.k."""
    if prefix in ("conv1", "to_rgb1"):
        return "b4.conv1" if prefix == "conv1" else "b4.torgb"
    kind, _, index = prefix.partition(".")
    if kind == "to_rgbs":
        return f"b{8 << _small(index)}.torgb"
    return f"b{8 << (_small(index) // 2)}.conv{_small(index) % 2}"


def _small(index: str) -> int:
    """A layer's index; more digits than any network has are not worth a shift."""
    if len(index) > 2:
        raise CheckpointError(f"a layer of index {index[:20]}")
    return int(index)
