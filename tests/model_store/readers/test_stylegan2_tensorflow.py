"""model_store/readers/stylegan2_tensorflow.py: every shape that the TensorFlow code allows."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from model_store import CheckpointError, read_checkpoint
from model_store.networks.stylegan2_plain import plain_synthesis
from tests.model_store.networks.random_stylegan2 import narrow_sizes, random_stylegan2
from tests.model_store.readers.parity import TOLERANCE, relative_error
from tests.model_store.readers.written_tensorflow import write_python2, write_tensorflow

_LAYER = re.compile(r"^synthesis\.b(\d+)\.(conv0|conv1|torgb|skip)\.(.+)$")


def tensorflow_variables(tensors: dict[str, Tensor], last_lod: bool = False) -> dict[str, Tensor]:
    """The TensorFlow variables of canonical tensors; `last_lod` calls the last ToRGB ToRGB_lod0."""
    found = {"lod": torch.zeros(()), "dlatent_avg": tensors["mapping.w_avg"]}
    for name, tensor in tensors.items():
        if name.startswith("mapping.fc"):
            layer, part = name.removeprefix("mapping.fc").split(".")
            found[f"mapping/Dense{layer}/{part}"] = tensor.T if part == "weight" else tensor
        elif match := _LAYER.match(name):
            found |= _layer_variable(int(match[1]), match[2], match[3], tensor, last_lod)
    if (embed := tensors.get("mapping.embed.weight")) is not None:
        found["mapping/LabelConcat/weight"] = embed.T
    found["synthesis/4x4/Const/const"] = tensors["synthesis.b4.const"][None]
    return {name: tensor.contiguous() for name, tensor in found.items()}


def _layer_variable(
    r: int, layer: str, part: str, tensor: Tensor, last_lod: bool
) -> dict[str, Tensor]:
    if part == "noise_const":
        octave = r.bit_length() - 1
        index = 2 * octave - (5 if layer == "conv0" else 4)
        return {f"synthesis/noise{index}": tensor[None, None]}
    names = {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB", "skip": "Skip"}
    scope = f"{r}x{r}/{'Conv' if r == 4 and layer == 'conv1' else names[layer]}"
    if last_lod and layer == "torgb":
        scope = "ToRGB_lod0"
    if part == "weight":
        kernel = tensor.flip((2, 3)) if layer == "conv0" else tensor
        return {f"synthesis/{scope}/weight": kernel.permute(2, 3, 1, 0)}
    if part == "affine.weight":
        return {f"synthesis/{scope}/mod_weight": tensor.T}
    if part == "affine.bias":
        return {f"synthesis/{scope}/mod_bias": tensor - 1}
    return {f"synthesis/{scope}/{part}": tensor}


VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    # arguments of the sizes, of the tensors, static_kwargs
    "skip": ({}, {}, {}),
    "resnet": ({"residual": True}, {}, {"architecture": "resnet"}),
    "orig": ({}, {"only_last_rgb": True}, {"architecture": "orig"}),
    "conditional": ({"c_dim": 4}, {}, {"label_size": 4}),
    "8 px": ({"resolution": 8}, {}, {"resolution": 8}),
    "128 px": ({"resolution": 128}, {}, {"resolution": 128}),
    "one mapping layer": ({"mapping_layers": 1}, {}, {}),
    "other filter": ({}, {"taps": (1.0, 2.0, 2.0, 0.5)}, {"resample_kernel": [1, 2, 2, 0.5]}),
    "clamped": ({}, {}, {"conv_clamp": 1.5}),
}


def tensors_of(variant: str) -> dict[str, Tensor]:
    sizes, changes, _ = VARIANTS[variant]
    tensors = random_stylegan2(narrow_sizes(**sizes), **changes)
    if "mapping.embed.weight" in tensors:  # as wide as z, without a bias, in this code
        draw = torch.Generator().manual_seed(2)
        tensors["mapping.embed.weight"] = torch.randn(20, 4, generator=draw)
        del tensors["mapping.embed.bias"]
        tensors["mapping.fc0.weight"] = torch.randn(16, 40, generator=draw) * 100
    return tensors


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_read_as_it_was_written(variant: str, tmp_path: Path) -> None:
    tensors, options = tensors_of(variant), VARIANTS[variant][2]
    variables = tensorflow_variables(tensors)
    generator = read_checkpoint(write_tensorflow(tmp_path / "n.pkl", variables, options))
    card, draw = generator.card, torch.Generator().manual_seed(1)
    z = torch.randn(2, 20, generator=draw)
    labels = torch.eye(4)[:2] if card.c_dim else None
    latents = generator.mapping(z, labels)
    assert relative_error(latents[:, -1], official_w(variables, z, labels)) <= TOLERANCE
    mixed = torch.lerp(latents, latents.flip(0), torch.rand(1, card.num_ws or 0, 1, generator=draw))
    for noise_mode in ("const", "none"):
        clamp = options.get("conv_clamp")
        expected = plain_synthesis(tensors, mixed, noise_mode, clamp)
        images = generator.synthesis(mixed, noise_mode)
        assert relative_error(images, expected) <= TOLERANCE
    assert (card.family, card.resolution) == ("stylegan2", expected.shape[-1])


def official_w(variables: dict[str, Tensor], z: Tensor, labels: Tensor | None) -> Tensor:
    """G_mapping written out: labels by a plain matrix, then one normalisation of everything."""
    x = z
    if labels is not None:
        x = torch.cat([x, labels @ variables["mapping/LabelConcat/weight"]], dim=1)
    x = x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)
    i = 0
    while f"mapping/Dense{i}/weight" in variables:
        weight = variables[f"mapping/Dense{i}/weight"]
        x = x @ (weight * (0.01 / weight.shape[0] ** 0.5))
        x = functional.leaky_relu(x + variables[f"mapping/Dense{i}/bias"] * 0.01, 0.2) * 2**0.5
        i += 1
    return x


def test_the_revised_stylegan_calls_its_last_rgb_lod0(tmp_path: Path) -> None:
    tensors = random_stylegan2(narrow_sizes(), only_last_rgb=True)
    variables = tensorflow_variables(tensors, last_lod=True)
    generator = read_checkpoint(write_tensorflow(tmp_path / "n.pkl", variables, {}))
    latents = torch.randn(1, 8, 16)
    expected = plain_synthesis(tensors, latents)
    assert relative_error(generator.synthesis(latents), expected) <= TOLERANCE


@pytest.mark.parametrize("container", ["alone", "python 2", "protocol 2", "protocol 5"])
def test_every_container_is_read(container: str, tmp_path: Path) -> None:
    tensors, path = random_stylegan2(narrow_sizes(16)), tmp_path / "n.pkl"
    variables = tensorflow_variables(tensors)
    if container == "alone":
        write_tensorflow(path, variables, {}, alone=True)
    elif container == "python 2":
        write_python2(path, variables, {"resolution": 16, "architecture": "skip"})
    else:
        write_tensorflow(path, variables, {}, protocol=int(container[-1]))
    latents = torch.randn(1, 6, 16)
    images = read_checkpoint(path).synthesis(latents)
    assert relative_error(images, plain_synthesis(tensors, latents)) <= TOLERANCE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nonlinearity": "relu"}, r"static_kwargs\.nonlinearity: expected 'lrelu'"),
        ({"normalize_latents": False}, r"static_kwargs\.normalize_latents: expected True"),
        ({"num_channels": 1}, r"static_kwargs\.num_channels: expected 3"),
        ({"resample_kernel": "wide"}, r"static_kwargs\.resample_kernel: expected a short list"),
        ({"resample_kernel": [1, -1]}, r"static_kwargs\.resample_kernel: sums to zero"),
        ({"conv_clamp": -1}, r"static_kwargs\.conv_clamp: not a positive number"),
        ({"resolution": 2**30}, "the file claims 1073741824 px, its weights make 8 px"),
    ],
)
def test_options_that_change_the_arithmetic_are_refused(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    variables = tensorflow_variables(random_stylegan2(narrow_sizes(8)))
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(write_tensorflow(tmp_path / "n.pkl", variables, options))


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    variables = tensorflow_variables(random_stylegan2(narrow_sizes(8)))
    path = tmp_path / "n.pkl"
    missing = {k: v for k, v in variables.items() if k != "synthesis/8x8/Conv1/mod_bias"}
    for changed, message in (
        (missing, r"missing tensor 'synthesis\.b8\.conv1\.affine\.bias'"),
        ({**variables, "synthesis/8x8/Conv1/x": torch.zeros(1)}, "unknown tensor synthesis/8x8/"),
        ({**variables, "synthesis/x": torch.zeros(1)}, "unknown tensor 'synthesis/x'"),
        ({**variables, "mapping/Dense0/bias": torch.full((16,), torch.nan)}, "Dense0/bias holds"),
    ):
        with pytest.raises(CheckpointError, match=message):
            read_checkpoint(write_tensorflow(path, changed, {}))
