"""model_store/readers/stylegan2_nvidia.py: every shape that NVIDIA's options allow."""

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
from tests.model_store.readers.written_nvidia import (
    EasyDict,
    Persistent,
    stylegan2_module,
    write_nvidia,
)

VARIANTS: dict[str, dict[str, Any]] = {
    "skip": {},
    "resnet": {"sizes": {"residual": True}},
    "orig": {"only_last_rgb": True},
    "no noise": {"use_noise": False},
    "resnet without noise": {"sizes": {"residual": True}, "use_noise": False},
    "one tap": {"taps": (1.0,)},
    "two taps": {"taps": (1.0, 1.0)},
    "three taps": {"taps": (1.0, 2.0, 1.0)},
    "asymmetric": {"taps": (1.0, 3.0, 2.0, 0.5)},
    "asymmetric resnet": {"taps": (1.0, 3.0, 2.0, 0.5), "sizes": {"residual": True}},
    "five taps": {"taps": (1.0, 4.0, 6.0, 4.0, 1.5)},
    "six taps": {"taps": (1.0, 5.0, 10.0, 10.0, 5.0, 1.0)},
    "conditional": {"sizes": {"c_dim": 5}},
    "z wider than w": {"sizes": {"z_dim": 33}},
    "one mapping layer": {"sizes": {"mapping_layers": 1}},
    "eight mapping layers": {"sizes": {"mapping_layers": 8}},
    **{f"{r} px": {"sizes": {"resolution": r}} for r in (8, 16, 64, 128)},
}


def tensors_of(variant: str) -> dict[str, Tensor]:
    changes = dict(VARIANTS[variant])
    return random_stylegan2(narrow_sizes(**changes.pop("sizes", {})), **changes)


@pytest.mark.parametrize("conv_clamp", [None, 1.5])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_read_as_it_was_written(
    variant: str, conv_clamp: float | None, tmp_path: Path
) -> None:
    tensors = tensors_of(variant)
    generator = read_checkpoint(write_nvidia(tmp_path / "n.pkl", tensors, conv_clamp))
    card = generator.card
    draw = torch.Generator().manual_seed(1)
    z = torch.randn(2, card.z_dim, generator=draw)
    c = torch.randn(2, card.c_dim, generator=draw) if card.c_dim else None
    w = official_w(tensors, z, c, 0.01)
    latents = generator.mapping(z, c)
    assert card.num_ws is not None
    assert relative_error(latents, w[:, None].expand(-1, card.num_ws, -1)) <= TOLERANCE
    mixed = torch.lerp(latents, latents.flip(0), torch.rand(1, card.num_ws, 1, generator=draw))
    for noise_mode in ("const", "none"):
        expected = plain_synthesis(tensors, mixed, noise_mode, conv_clamp)
        images = generator.synthesis(mixed, noise_mode)
        assert relative_error(images, expected) <= TOLERANCE
    assert (card.z_dim, card.w_dim, card.c_dim) == (len(z[0]), 16, 0 if c is None else 5)
    assert card.resolution == expected.shape[-1]
    assert card.network["conv_clamp"] == conv_clamp


def official_w(
    tensors: dict[str, Tensor], z: Tensor, c: Tensor | None, lr_multiplier: float
) -> Tensor:
    """StyleGAN2-ADA's mapping, written out."""

    def normalised(x: Tensor) -> Tensor:
        return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()

    x = normalised(z)
    if c is not None:
        weight, bias = tensors["mapping.embed.weight"], tensors["mapping.embed.bias"]
        x = torch.cat([x, normalised(c @ (weight / weight.shape[1] ** 0.5).T + bias)], dim=1)
    i = 0
    while (weight := tensors.get(f"mapping.fc{i}.weight")) is not None:  # type: ignore[assignment]
        scaled = weight * lr_multiplier / weight.shape[1] ** 0.5
        x = x @ scaled.T + tensors[f"mapping.fc{i}.bias"] * lr_multiplier
        x = functional.leaky_relu(x, 0.2) * 2**0.5
        i += 1
    return x


def test_layer_features_and_embed_features_may_differ_from_w(tmp_path: Path) -> None:
    tensors = random_stylegan2(narrow_sizes(c_dim=3))
    draw = torch.Generator().manual_seed(4)
    tensors["mapping.embed.weight"] = torch.randn(7, 3, generator=draw)
    tensors["mapping.embed.bias"] = torch.randn(7, generator=draw)
    tensors["mapping.fc0.weight"] = torch.randn(11, 27, generator=draw)
    tensors["mapping.fc0.bias"] = torch.randn(11, generator=draw)
    tensors["mapping.fc1.weight"] = torch.randn(16, 11, generator=draw)
    generator = read_checkpoint(write_nvidia(tmp_path / "n.pkl", tensors, lr_multiplier=0.5))
    z, c = torch.randn(2, 20, generator=draw), torch.eye(3)[:2]
    expected = official_w(tensors, z, c, 0.5)
    assert relative_error(generator.mapping(z, c)[:, 3], expected) <= TOLERANCE
    assert (generator.card.z_dim, generator.card.c_dim) == (20, 3)


def test_a_filter_of_eight_taps_is_stored_as_one_row(tmp_path: Path) -> None:
    row = torch.tensor([1.0, 2.0, 4.0, 6.0, 5.0, 3.0, 2.0, 1.0])
    row = row / row.sum()
    tensors = random_stylegan2(narrow_sizes())
    latents = torch.randn(2, 8, 16)
    expected = plain_synthesis(
        {**tensors, "synthesis.resample_filter": torch.outer(row, row)}, latents
    )
    tensors["synthesis.resample_filter"] = row
    generator = read_checkpoint(write_nvidia(tmp_path / "n.pkl", tensors))
    assert relative_error(generator.synthesis(latents), expected) <= TOLERANCE


@pytest.mark.parametrize("protocol", range(2, 6))
def test_every_pickle_protocol(protocol: int, tmp_path: Path) -> None:
    tensors = random_stylegan2(narrow_sizes(8))
    generator = read_checkpoint(write_nvidia(tmp_path / "n.pkl", tensors, protocol=protocol))
    latents = torch.randn(1, 4, 16)
    assert relative_error(generator.synthesis(latents), plain_synthesis(tensors, latents)) < 1e-4


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
def test_weights_of_other_dtypes_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    tensors = {name: t.to(dtype) for name, t in random_stylegan2(narrow_sizes(8)).items()}
    generator = read_checkpoint(write_nvidia(tmp_path / "n.pkl", tensors))
    assert {tensor.dtype for tensor in generator.state().values()} == {torch.float32}
    for name, tensor in generator.state().items():
        torch.testing.assert_close(tensor, tensors[name].float())


def test_g_ema_alone_and_not_g_is_the_network(tmp_path: Path) -> None:
    average, raw = (random_stylegan2(narrow_sizes(8), seed) for seed in (1, 2))
    latents = torch.randn(1, 4, 16)
    expected = plain_synthesis(average, latents)
    snapshot = {"G": stylegan2_module(raw), "D": stylegan2_module(raw)}
    both = read_checkpoint(write_nvidia(tmp_path / "n.pkl", average, snapshot=snapshot))
    assert relative_error(both.synthesis(latents), expected) <= TOLERANCE
    without = write_nvidia(tmp_path / "n.pkl", average, snapshot={**snapshot, "G_ema": None})
    with pytest.raises(CheckpointError, match="no generator"):
        read_checkpoint(without)


def changed(change: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, attributes = random_stylegan2(narrow_sizes(16)), dict[str, Any]()
    if change == "missing":
        del tensors["synthesis.b8.conv0.bias"]
    elif change == "unknown":
        tensors["synthesis.b8.conv0.extra"] = torch.zeros(3)
    elif change == "nan":
        tensors["mapping.fc1.weight"][0, 0] = torch.nan
    elif change == "infinity":
        tensors["synthesis.b16.torgb.bias"][1] = -torch.inf
    elif change == "transposed":
        name = "synthesis.b8.conv0.affine.weight"
        tensors[name] = tensors[name].T.contiguous()
    elif change == "claim":
        attributes["img_resolution"] = 1024
    elif change == "grey":
        for name in list(tensors):
            if name.endswith(("torgb.weight", "torgb.bias")):
                tensors[name] = tensors[name][:1]
    return tensors, attributes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"n\.pkl: missing tensor 'synthesis\.b8\.conv0\.bias'"),
        ("unknown", r"unknown tensor 'synthesis\.b8\.conv0\.extra'"),
        ("nan", r"mapping\.fc1\.weight holds NaN"),
        ("infinity", r"synthesis\.b16\.torgb\.bias holds NaN or infinity"),
        ("transposed", r"b8\.conv0\.affine\.weight: expected shape \[12, 16\], found \[16, 12\]"),
        ("claim", "the file claims 1024 px, its weights make 16 px"),
        ("grey", r"torgb\.\w+: expected shape \[3.*\], found \[1"),
    ],
)
def test_what_does_not_fit_is_named(change: str, message: str, tmp_path: Path) -> None:
    tensors, attributes = changed(change)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(write_nvidia(tmp_path / "n.pkl", tensors, **attributes))


def module_at(root: Persistent, path: str) -> Persistent:
    for part in path.split("."):
        root = root.state["_modules"][part]
    return root


@pytest.mark.parametrize(
    ("path", "attribute", "value", "message"),
    [
        ("synthesis.b8.conv0", "activation", "relu", "do not agree on activation"),
        ("synthesis.b8.conv0", "conv_clamp", 3.0, "do not agree on conv_clamp"),
        ("mapping.fc0", "bias_gain", "much", "bias_gain is not a learning-rate multiplier"),
        ("synthesis.b8", "_modules", {"conv0": EasyDict()}, "is not a PyTorch module"),
        ("synthesis.b8", "_parameters", {"x": [1]}, r"synthesis\.b8\.x is not a tensor"),
    ],
)
def test_odd_modules_are_refused(
    path: str, attribute: str, value: object, message: str, tmp_path: Path
) -> None:
    root = stylegan2_module(random_stylegan2(narrow_sizes(8)))
    module_at(root, path).state[attribute] = value
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(write_nvidia(tmp_path / "n.pkl", {}, snapshot={"G_ema": root}))


def test_modules_nested_too_deeply_are_refused(tmp_path: Path) -> None:
    root = stylegan2_module(random_stylegan2(narrow_sizes(8)))
    for _ in range(20):
        state = {"_parameters": {}, "_buffers": {}, "_modules": {"synthesis": root}}
        root = Persistent("Generator", state)
    root.state["_modules"]["synthesis"].state["_modules"]["b4"] = Persistent("Block", {})
    with pytest.raises(CheckpointError):
        read_checkpoint(write_nvidia(tmp_path / "n.pkl", {}, snapshot={"G_ema": root}))
