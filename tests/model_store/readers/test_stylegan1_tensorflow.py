"""model_store/readers/stylegan1_tensorflow.py against the formulas of the TensorFlow code."""

from pathlib import Path
from typing import Any

import pytest
import torch

from model_store import CheckpointError, ModelCard, read_checkpoint
from tests.model_store.readers.parity import TOLERANCE, relative_error
from tests.model_store.readers.plain_stylegan1 import (
    plain_mapping,
    plain_synthesis1,
    random_variables,
)
from tests.model_store.readers.written_tensorflow import write_python2, write_tensorflow

WIDTHS = {4: 8, 8: 8, 16: 7, 32: 6, 64: 5, 128: 4, 256: 3}


def widths(resolution: int) -> dict[int, int]:
    return {r: width for r, width in WIDTHS.items() if r <= resolution}


@pytest.mark.parametrize(
    ("resolution", "options"),
    [
        (8, {}),
        (64, {}),
        (128, {}),
        (256, {}),  # the last two blocks convolve and upsample in one
        (16, {"fused_scale": True}),
        (128, {"fused_scale": False}),
        (32, {"label_size": 4}),
        (32, {"mapping_layers": 8}),
        (32, {"latent_size": 9, "dlatent_size": 21}),
    ],
)
def test_w_and_images_are_those_of_the_formulas(
    resolution: int, options: dict[str, Any], tmp_path: Path
) -> None:
    sizes = {name: size for name, size in options.items() if name != "fused_scale"}
    variables = random_variables(widths(resolution), **sizes)
    path = write_tensorflow(tmp_path / "n.pkl", variables, {"resolution": resolution, **options})
    generator = read_checkpoint(path)
    card = generator.card
    draw = torch.Generator().manual_seed(1)
    z = torch.randn(2, card.z_dim, generator=draw)
    labels = torch.eye(4)[1:3] if card.c_dim else None
    w = plain_mapping(variables, z, labels)
    latents = generator.mapping(z, labels)
    for layer in range(latents.shape[1]):
        assert relative_error(latents[:, layer], w) <= TOLERANCE
    fused_from = {True: 0, False: 1024, "auto": 128}[options.get("fused_scale", "auto")]
    mixed = torch.lerp(latents, latents.flip(0), torch.rand(1, card.num_ws or 0, 1, generator=draw))
    for noise_mode in ("const", "none"):
        expected = plain_synthesis1(variables, mixed, noise_mode == "const", fused_from)
        images = generator.synthesis(mixed, noise_mode)
        assert relative_error(images, expected) <= TOLERANCE
    assert (card.family, card.resolution) == ("stylegan1", resolution)
    assert card.c_dim == options.get("label_size", 0)


def test_truncation_of_the_card_is_the_file_s_or_the_official_one(tmp_path: Path) -> None:
    def card_of(options: dict[str, Any]) -> ModelCard:
        path = tmp_path / "n.pkl"
        return read_checkpoint(write_tensorflow(path, random_variables(widths(8)), options)).card

    assert (card_of({}).truncation, card_of({}).truncation_cutoff) == (0.7, 8)
    card = card_of({"truncation_psi": 0.5, "truncation_cutoff": None})
    assert (card.truncation, card.truncation_cutoff) == (0.5, None)
    assert card_of({"truncation_psi": None}).truncation == 1.0


def test_python_2_pickles_are_read(tmp_path: Path) -> None:
    variables = random_variables(widths(16))
    path = write_python2(tmp_path / "n.pkl", variables, {"resolution": 16})
    assert b"U\tresolution" in path.read_bytes() or b"U\nresolution" in path.read_bytes()
    latents = torch.randn(1, 6, 12)
    images = read_checkpoint(path).synthesis(latents)
    assert relative_error(images, plain_synthesis1(variables, latents)) <= TOLERANCE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"use_instance_norm": False}, r"static_kwargs\.use_instance_norm: expected True"),
        ({"use_pixel_norm": True}, r"static_kwargs\.use_pixel_norm: expected False"),
        ({"fused_scale": "sometimes"}, r"static_kwargs\.fused_scale: expected True, False"),
        ({"mapping_lrmul": "fast"}, r"static_kwargs\.mapping_lrmul: not a positive number"),
        ({"resolution": 64}, "the file claims 64 px, its weights make 8 px"),
    ],
)
def test_options_that_change_the_arithmetic_are_refused(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = write_tensorflow(tmp_path / "n.pkl", random_variables(widths(8)), options)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("synthesis/8x8/Conv1/bias", r"missing tensor 'synthesis\.b8\.conv1\.bias'"),
        ("synthesis/noise3", r"missing tensor 'synthesis\.b8\.conv1\.noise_const'"),
        ("dlatent_avg", r"missing tensor 'mapping\.w_avg'"),
        ("synthesis/ToRGB_lod0/weight", r"missing tensor 'synthesis\.torgb\.weight'"),
    ],
)
def test_missing_variables_are_named(name: str, message: str, tmp_path: Path) -> None:
    variables = random_variables(widths(8))
    del variables[name]
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(write_tensorflow(tmp_path / "n.pkl", variables, {}))


def test_unknown_variables_are_named(tmp_path: Path) -> None:
    variables = random_variables(widths(8)) | {"synthesis/8x8/Conv2/bias": torch.zeros(8)}
    with pytest.raises(CheckpointError, match="unknown tensor 'synthesis/8x8/Conv2/bias'"):
        read_checkpoint(write_tensorflow(tmp_path / "n.pkl", variables, {}))
