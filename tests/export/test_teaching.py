"""export/teaching.py: heads of all layers from a few labelled images of a small StyleGAN2."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from editing import DistilOptions, latent_logits
from export.banks import Bank, make_bank, open_bank
from export.errors import BankError, LabelError
from export.labels import AttributeLabels, binary_scores
from export.sights import Sights
from export.teaching import TeachOptions, teach_model
from export.training import store_trained
from model_store import ONE_LAYER_FILE, StoredModel, save_model
from tests.doubles import make_head, make_style_card, make_style_generator

QUICK = TeachOptions(
    per_class=30,
    rounds=1,
    walked_share=0.1,
    distil=DistilOptions(hidden_units=8, epochs=20, batch=64),
)


@pytest.fixture(scope="module")
def model(bentoml_home: Path) -> StoredModel:
    """A 16 px StyleGAN2 without attributes."""
    card = make_style_card("taught").model_copy(update={"attributes": ()})
    return save_model(make_style_generator(card), card, {})


@pytest.fixture(scope="module")
def bank(model: StoredModel, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """600 mixed samples."""
    folder = tmp_path_factory.mktemp("mixed")
    make_bank(model, 600, folder, truncation=1.0, mixing=True)
    return open_bank(folder, "taught")


def brightness(bank: Bank) -> AttributeLabels:
    """Whether the upper left quarter is brighter than usual."""
    level = bank.images[:, :8, :8].astype(np.float32).mean(axis=(1, 2, 3))
    return AttributeLabels(("dark", "bright"), "pixels", binary_scores(level - np.median(level)))


def test_taught_heads_read_mixed_latents_and_are_stored(model: StoredModel, bank: Bank) -> None:
    seen: list[str] = []
    trained = teach_model(
        model, bank, {"corner": brightness(bank)}, QUICK, lambda what, *_: seen.append(what)
    )
    assert seen[0] == "reading corner"
    assert {"training", "walking"} < set(seen)
    card = trained[0].card
    assert card.validation_accuracy is not None
    assert card.validation_accuracy > 0.75  # a coin gives 0.5
    assert card.validation_samples == 600 - 60
    stored = store_trained(model, trained)
    assert stored.card.heads_read == "all_layers"
    assert stored.card.head_channels == np.prod(stored.card.latent_shape)
    heads = stored.stacked_heads()
    assert heads is not None
    read = latent_logits(heads, torch.from_numpy(np.array(bank.latents)))[:, 0].argmax(dim=1)
    assert (read.numpy() == brightness(bank).labels()).mean() > 0.75


def test_the_same_seed_teaches_the_same(model: StoredModel, bank: Bank) -> None:
    labels = {"corner": brightness(bank)}
    first, again = (teach_model(model, bank, labels, QUICK)[0].head for _ in range(2))
    assert torch.equal(first.hidden_weight, again.hidden_weight)


def test_heads_of_one_layer_are_kept_beside(model: StoredModel, bank: Bank) -> None:
    labels = {"corner": brightness(bank)}
    card = teach_model(model, bank, labels, QUICK)[0].card
    measured = np.array(bank.latents).reshape(len(bank.latents), -1).std(axis=0, ddof=1)
    assert card.latent_std == pytest.approx(np.sqrt((measured**2).mean()), abs=1e-3)
    narrow = save_model(
        model.generator(),
        model.card.model_copy(update={"name": "narrow", "attributes": (card,)}),
        {"corner": make_head(2, 0, model.card.latent_shape[1])},
    )
    assert narrow.card.heads_read == "one_layer"
    stored = store_trained(narrow, teach_model(narrow, bank, labels, QUICK))
    assert ONE_LAYER_FILE in stored.card.files
    one_layer, all_layers = stored.one_layer_heads(), stored.stacked_heads()
    assert one_layer is not None
    assert all_layers is not None
    assert (one_layer.num_channels, all_layers.num_channels) == (
        stored.card.latent_shape[1],
        stored.card.head_channels,
    )


def test_heads_of_z_are_taught_by_faces_where_a_model_recognises_them(
    tiny: StoredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bank(tiny, 400, tmp_path)
    samples = open_bank(tmp_path, tiny.card.name)

    def see(images: np.ndarray, *_: object) -> Sights:  # pixels tell nothing
        descriptors = images.astype(np.float32).mean(axis=(1, 2))
        return Sights(np.zeros((len(images), 64, 64, 3), np.uint8), descriptors)

    monkeypatch.setattr("export.teaching.eyes_for", lambda model: SimpleNamespace(see=see))
    level = samples.images.astype(np.float32).mean(axis=(1, 2, 3))
    labels = AttributeLabels(("dark", "bright"), "pixels", binary_scores(level - np.median(level)))
    (found,) = teach_model(tiny, samples, {"level": labels}, QUICK)
    assert found.remark.startswith("taught by faces read with 0.9")
    assert found.head.num_channels == tiny.card.latent_shape[1]
    assert found.card.latent_std == pytest.approx(1, abs=0.05)  # of z
    assert found.card.validation_accuracy is not None
    assert found.card.validation_accuracy > 0.75
    kept = {a.name for a in tiny.card.attributes}
    assert kept < {a.name for a in store_trained(tiny, [found]).card.attributes}


def test_what_cannot_be_taught_is_named(
    model: StoredModel, bank: Bank, tiny: StoredModel, tmp_path: Path
) -> None:
    few = TeachOptions(per_class=3)
    with pytest.raises(LabelError, match="corner: needs 5 labelled samples"):
        teach_model(model, bank, {"corner": brightness(bank)}, few)
    with pytest.raises(BankError, match="cannot mix"):
        make_bank(tiny, 10, tmp_path, mixing=True)
