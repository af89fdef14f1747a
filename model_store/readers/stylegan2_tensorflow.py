"""StyleGAN2 (and its ADA successor) as NVIDIA pickles it in TensorFlow."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from model_store.errors import CheckpointError
from model_store.networks.mapping import MappingOptions
from model_store.networks.stylegan2_layout import Stylegan2Options
from model_store.readers.network_parts import NetworkParts, load_tensors
from model_store.readers.stylegan2_names import FILTER, default_filter
from model_store.readers.tensorflow import TensorflowNetwork

_IGNORED = {"lod"}
_DENSE = re.compile(r"^mapping/Dense(\d+)/(weight|bias)$")
_NOISE = re.compile(r"^synthesis/noise(\d+)$")
_LAYER = re.compile(r"^synthesis/(\d+)x\1/(Conv|Conv0_up|Conv1|ToRGB|Skip)/(\w+)$")
_LAST_RGB = re.compile(r"^synthesis/ToRGB_lod(\d+)/(\w+)$")
_LAYER_NAMES = {
    "Conv": "conv1",
    "Conv0_up": "conv0",
    "Conv1": "conv1",
    "ToRGB": "torgb",
    "Skip": "skip",
}
# Options that change what is computed: only these values are built here.
_SUPPORTED = {
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "normalize_latents": True,
    "num_channels": 3,
}


def read_stylegan2_tensorflow(network: TensorflowNetwork, file_bytes: int) -> NetworkParts:
    """Parts of Gs."""
    check_options(network, _SUPPORTED)
    raw = {name: v for name, v in network.variables.items() if name.split("/")[-1] not in _IGNORED}
    variables = load_tensors(raw, file_bytes)
    tensors: dict[str, Tensor] = {}
    for name, value in variables.items():
        canonical, converted = _canonical(name, value, variables)
        if canonical in tensors:
            raise CheckpointError(f"{name}: twice under the name {canonical}")
        tensors[canonical] = converted
    tensors[FILTER] = _filter(network.options.get("resample_kernel"))
    return NetworkParts(
        "stylegan2",
        tensors,
        Stylegan2Options(
            MappingOptions(
                number(network, "mapping_lrmul", MappingOptions.lr_multiplier) or 0.01,
                "concat" if "mapping/LabelConcat/weight" in variables else "embed",
            ),
            number(network, "conv_clamp", None),
        ),
        resolution_claimed=resolution(network),
    )


def check_options(network: TensorflowNetwork, supported: Mapping[str, object]) -> None:
    """CheckpointError if an option has a value that our network does not compute."""
    for name, expected in supported.items():
        found = network.options.get(name, expected)
        if found != expected:
            raise CheckpointError(f"static_kwargs.{name}: expected {expected!r}, found another")


def number(network: TensorflowNetwork, name: str, default: float | None) -> float | None:
    """A positive number among the options, or None."""
    value = network.options.get(name, default)
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 < value < 1e6:
        raise CheckpointError(f"static_kwargs.{name}: not a positive number")
    return float(value)


def resolution(network: TensorflowNetwork) -> int | None:
    """What the network says of itself."""
    value = network.options.get("resolution")
    return value if isinstance(value, int) else None


def convolution(weight: Tensor) -> Tensor:
    """[kh, kw, I, O] as [O, I, kh, kw]."""
    if weight.ndim != 4:
        raise CheckpointError(f"a convolution of shape {list(weight.shape)}")
    return weight.permute(3, 2, 0, 1).contiguous()


def _canonical(name: str, value: Tensor, variables: Mapping[str, Tensor]) -> tuple[str, Tensor]:
    if name == "dlatent_avg":
        return "mapping.w_avg", value
    if name in ("mapping/LabelConcat/weight", "mapping/LabelEmbed/weight"):
        return "mapping.embed.weight", value.T.contiguous()
    if name == "mapping/LabelEmbed/bias":
        return "mapping.embed.bias", value
    if match := _DENSE.match(name):
        is_weight = match[2] == "weight"
        return f"mapping.fc{match[1]}.{match[2]}", value.T.contiguous() if is_weight else value
    if name == "synthesis/4x4/Const/const":
        return "synthesis.b4.const", value.squeeze(0)
    if match := _NOISE.match(name):
        return noise_name(int(match[1])), value.squeeze(0).squeeze(0)
    if match := _LAST_RGB.match(name):
        last = max(int(m[1]) for other in variables if (m := _LAYER.match(other)))
        return _layer(f"b{last >> int(match[1])}", "ToRGB", match[2], value)
    if match := _LAYER.match(name):
        return _layer(f"b{match[1]}", match[2], match[3], value)
    raise CheckpointError(f"unknown tensor {name!r}")


def noise_name(index: int) -> str:
    """Noise 0 belongs to b4.conv1, then two to every block."""
    if index == 0:
        return "synthesis.b4.conv1.noise_const"
    return f"synthesis.b{4 << ((index + 1) // 2)}.conv{(index + 1) % 2}.noise_const"


def _layer(block: str, layer: str, part: str, value: Tensor) -> tuple[str, Tensor]:
    prefix = f"synthesis.{block}.{_LAYER_NAMES[layer]}"
    if part == "weight":
        weight = convolution(value)
        # TensorFlow's upsampling convolutions read the kernel the other way round.
        return f"{prefix}.weight", weight.flip((2, 3)) if layer == "Conv0_up" else weight
    if part == "mod_weight":
        return f"{prefix}.affine.weight", value.T.contiguous()
    if part == "mod_bias":
        return f"{prefix}.affine.bias", value + 1
    if part == "noise_strength":
        return f"{prefix}.noise_strength", value.reshape(())
    if part == "bias":
        return f"{prefix}.bias", value
    raise CheckpointError(f"unknown tensor synthesis/{block[1:]}x{block[1:]}/{layer}/{part}")


def _filter(taps: Any) -> Tensor:
    """The resampling filter of the options [k] or [k, k], normalised; StyleGAN2's by default."""
    if taps is None:
        return default_filter()
    usable = isinstance(taps, list | tuple) and 1 <= len(taps) <= 16
    if not usable or not all(isinstance(tap, int | float) for tap in taps):
        raise CheckpointError("static_kwargs.resample_kernel: expected a short list of numbers")
    row = torch.tensor(taps, dtype=torch.float32)
    kernel = torch.outer(row, row)
    if not bool(kernel.sum() != 0):
        raise CheckpointError("static_kwargs.resample_kernel: sums to zero")
    return kernel / kernel.sum()
