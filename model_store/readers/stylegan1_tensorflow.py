"""StyleGAN as NVIDIA pickles it in TensorFlow."""

import re

from torch import Tensor

from model_store.errors import CheckpointError
from model_store.networks.mapping import GAIN, MappingOptions
from model_store.networks.stylegan1 import Stylegan1Options
from model_store.readers.network_parts import NetworkParts, load_tensors
from model_store.readers.stylegan2_tensorflow import (
    check_options,
    convolution,
    number,
    resolution,
)
from model_store.readers.tensorflow import TensorflowNetwork

DEFAULT_PSI = 0.7  # of the official sampling scripts
DEFAULT_CUTOFF = 8
NEVER_FUSED = 1 << 30
_IGNORED = re.compile(r"^synthesis/ToRGB_lod[1-9]\d*/|(^|/)lod$")  # for growing only
_DENSE = re.compile(r"^mapping/Dense(\d+)/(weight|bias)$")
_NOISE = re.compile(r"^synthesis/noise(\d+)$")
_LAYER = re.compile(r"^synthesis/(\d+)x\1/(Const|Conv|Conv0_up|Conv1)/(.+)$")
_LAYER_NAMES = {"Const": "conv0", "Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1"}
_PARTS = {
    "bias": "bias",
    "Noise/weight": "noise_strength",
    "StyleMod/weight": "affine.weight",
    "StyleMod/bias": "affine.bias",
}
# Options that change what is computed: only these values are built here.
_SUPPORTED = {
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "normalize_latents": True,
    "use_wscale": True,
    "use_noise": True,
    "use_styles": True,
    "use_pixel_norm": False,
    "use_instance_norm": True,
    "const_input_layer": True,
    "num_channels": 3,
}


def read_stylegan1_tensorflow(network: TensorflowNetwork, file_bytes: int) -> NetworkParts:
    """Parts of Gs."""
    check_options(network, _SUPPORTED)
    raw = {name: v for name, v in network.variables.items() if not _IGNORED.search(name)}
    tensors: dict[str, Tensor] = {}
    for name, value in load_tensors(raw, file_bytes).items():
        canonical, converted = _canonical(name, value)
        if canonical in tensors:
            raise CheckpointError(f"{name}: twice under the name {canonical}")
        tensors[canonical] = converted
    multiplier = number(network, "mapping_lrmul", MappingOptions.lr_multiplier) or 0.01
    psi = network.options.get("truncation_psi", DEFAULT_PSI)
    cutoff = network.options.get("truncation_cutoff", DEFAULT_CUTOFF)
    return NetworkParts(
        "stylegan1",
        tensors,
        Stylegan1Options(MappingOptions(multiplier, "concat"), _fused_from(network)),
        truncation=psi if isinstance(psi, int | float) and 0 <= psi <= 1 else 1.0,
        truncation_cutoff=cutoff if isinstance(cutoff, int) and cutoff >= 0 else None,
        resolution_claimed=resolution(network),
        notes="outputs for growing (ToRGB_lod1 and up) left out",
    )


def _fused_from(network: TensorflowNetwork) -> int:
    """From which resolution on upsampling and convolution are one."""
    choice = network.options.get("fused_scale", "auto")
    if choice is True:
        return 0
    if choice is False:
        return NEVER_FUSED
    if choice != "auto":
        raise CheckpointError("static_kwargs.fused_scale: expected True, False or 'auto'")
    return Stylegan1Options.fused_from


def _canonical(name: str, value: Tensor) -> tuple[str, Tensor]:
    if name == "dlatent_avg":
        return "mapping.w_avg", value
    if name == "mapping/LabelConcat/weight":
        return "mapping.embed.weight", value.T.contiguous()
    if match := _DENSE.match(name):
        if match[2] == "bias":
            return f"mapping.fc{match[1]}.bias", value / GAIN
        return f"mapping.fc{match[1]}.weight", value.T.contiguous()
    if match := _NOISE.match(name):
        index = int(match[1])
        block = 4 << (index // 2)
        return f"synthesis.b{block}.conv{index % 2}.noise_const", value.squeeze(0).squeeze(0)
    if name == "synthesis/ToRGB_lod0/weight":
        return "synthesis.torgb.weight", convolution(value)
    if name == "synthesis/ToRGB_lod0/bias":
        return "synthesis.torgb.bias", value
    if name == "synthesis/4x4/Const/const":
        return "synthesis.b4.const", value.squeeze(0)
    if match := _LAYER.match(name):
        return _layer(match[1], match[2], match[3], value)
    raise CheckpointError(f"unknown tensor {name!r}")


def _layer(block: str, layer: str, part: str, value: Tensor) -> tuple[str, Tensor]:
    prefix = f"synthesis.b{block}.{_LAYER_NAMES[layer]}"
    if part == "weight":
        return f"{prefix}.weight", convolution(value)
    if part not in _PARTS:
        raise CheckpointError(f"unknown tensor synthesis/{block}x{block}/{layer}/{part}")
    converted = value.T.contiguous() if part == "StyleMod/weight" else value
    return f"{prefix}.{_PARTS[part]}", converted
