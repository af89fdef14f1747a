"""Encoders of the tiny models: trained, resumed, stored, used."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from export.encoder_training import EncoderOptions, train_encoder
from export.encoders import make_encoder, read_dataset
from export.errors import EncoderTrainingError, ExportError
from export.inverting import invert_file
from model_store import (
    ENCODER_FILE,
    CorruptModelError,
    StoredModel,
    features_of,
    find_model,
    read_encoder,
    save_encoder,
    save_inversion,
    save_model,
    to_pixels,
)
from tests.doubles import (
    RESOLUTION,
    make_card,
    make_generator,
    make_heads,
    make_style_card,
    make_style_generator,
)

OPTIONS = EncoderOptions(steps=12, batch=4, latents_only=0.5)


@pytest.fixture
def own(bentoml_home: Path) -> StoredModel:
    """A model of this test's own: versions of `tiny` belong to the service."""
    return save_model(make_generator(), make_card("tiny-inverted"), make_heads())


def test_a_stopped_run_continues_as_if_it_had_not_been(own: StoredModel, tmp_path: Path) -> None:
    whole = train_encoder(own, tmp_path / "whole", OPTIONS)
    counted = iter(range(100))
    train_encoder(own, tmp_path / "cut", OPTIONS, should_stop=lambda: next(counted) >= 7)
    continued = train_encoder(own, tmp_path / "cut", OPTIONS)
    for one, other in zip(whole.parameters(), continued.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_stopped_encoder_is_not_stored(own: StoredModel, tmp_path: Path) -> None:
    counted = iter(range(100))
    with pytest.raises(KeyboardInterrupt):
        make_encoder(own, tmp_path, OPTIONS, should_stop=lambda: next(counted) >= 7)
    assert find_model("tiny-inverted").tag == own.tag
    done: list[int] = []
    train_encoder(own, tmp_path, OPTIONS, report=lambda step, total, loss: done.append(step))
    assert done == list(range(8, OPTIONS.steps + 1))  # all steps before the stop are kept


def test_another_run_is_refused(own: StoredModel, tmp_path: Path) -> None:
    train_encoder(own, tmp_path, OPTIONS)
    with pytest.raises(EncoderTrainingError, match="another run"):
        train_encoder(own, tmp_path, EncoderOptions(steps=12, batch=4, seed=1))


def test_it_learns(own: StoredModel, tmp_path: Path) -> None:
    losses: list[float] = []
    options = EncoderOptions(steps=150, batch=16, latents_only=0.5)
    train_encoder(own, tmp_path, options, report=lambda done, total, loss: losses.append(loss))
    assert np.mean(losses[55:75]) < 0.9 * losses[0]  # of the latents alone


def test_a_made_encoder_is_stored_and_shipped(own: StoredModel, tmp_path: Path) -> None:
    made = make_encoder(own, tmp_path / "run", OPTIONS, copy_to=tmp_path / "shipped")
    stored = find_model("tiny-inverted")
    assert stored.tag == made.model.tag
    assert stored.card.inversion is not None
    assert 0 < stored.card.inversion.max_error < 1
    encoder = read_encoder(stored)
    assert encoder is not None
    assert features_of(stored)[1] == "encoder"
    names = sorted(path.name for path in (tmp_path / "shipped").iterdir())
    assert names == ["tiny-inverted.json", "tiny-inverted.safetensors"]
    image = to_pixels(own.generator().synthesis(torch.zeros(1, 1, 16)))[0]
    Image.fromarray(image).save(tmp_path / "photo.png")
    for mode in ("encoder", "optimize"):
        found = invert_file(stored, tmp_path / "photo.png", tmp_path / mode, mode, steps=5)
        assert found.steps == (0 if mode == "encoder" else 5)
        assert (tmp_path / mode / "reconstruction.png").is_file()
        with np.load(tmp_path / mode / "latent.npz") as latent:
            assert latent["latent"].shape == (1, 16)


def test_a_style_model_learns_from_a_dataset(bentoml_home: Path, tmp_path: Path) -> None:
    card = make_style_card("tiny-style-inverted")
    model = save_model(make_style_generator(card), card, make_heads())
    images = np.random.default_rng(0).integers(0, 256, (5, RESOLUTION, RESOLUTION, 3), np.uint8)
    encoder = train_encoder(model, tmp_path, OPTIONS, images)
    assert encoder.sizes.latent == card.latent_shape


def test_an_encoder_of_another_model_is_refused(
    own: StoredModel, tiny_style: StoredModel, tmp_path: Path
) -> None:
    made = make_encoder(own, tmp_path, OPTIONS)
    path = tmp_path / "file"
    encoder = read_encoder(made.model)
    assert encoder is not None
    assert made.model.card.inversion is not None
    save_encoder(encoder, path)
    card = make_style_card("tiny-style-wrong")
    other = save_model(make_style_generator(card), card, make_heads())
    wrong = save_inversion(other, made.model.card.inversion, {ENCODER_FILE: path})
    with pytest.raises(CorruptModelError, match="makes latents"):
        read_encoder(wrong)


def test_bad_arguments_have_one_clear_line(own: StoredModel, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "photo.png")
    with pytest.raises(ExportError, match="--mode must be one of optimize, pivotal"):
        invert_file(own, tmp_path / "photo.png", tmp_path, "encoder")
    with pytest.raises(ExportError, match="--space must be one of z"):
        invert_file(own, tmp_path / "photo.png", tmp_path, "optimize", space="w")
    with pytest.raises(EncoderTrainingError, match="no images"):
        read_dataset(tmp_path / "nothing", RESOLUTION)


def test_datasets_are_folders_or_arrays(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), (9, 9, 9)).save(tmp_path / "one.png")
    assert (read_dataset(tmp_path, RESOLUTION) == 9).all()
    np.save(tmp_path / "a.npy", np.zeros((2, RESOLUTION, RESOLUTION, 3), np.uint8))
    assert len(read_dataset(tmp_path / "a.npy", RESOLUTION)) == 2
    with pytest.raises(EncoderTrainingError, match="expected uint8"):
        read_dataset(tmp_path / "a.npy", 2 * RESOLUTION)
