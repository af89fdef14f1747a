"""export/baselines/storing.py and `gradctrl directions`: a new version with directions."""

from pathlib import Path

import numpy as np
import pytest

from export.banks import make_bank, open_bank
from export.baselines import DirectionOptions, store_directions
from export.errors import ExportError
from export.labels import AttributeLabels, binary_scores, save_labels
from model_store import StoredModel, available_pairs, find_model, save_model
from tests.doubles import make_card, make_generator, make_heads
from tests.export.test_commands import run

QUICK = DirectionOptions(per_class=10, components=4, validation_samples=12)


@pytest.fixture(scope="module")
def model(bentoml_home: Path) -> StoredModel:
    return save_model(make_generator(), make_card("tiny-compared"), make_heads())


@pytest.fixture(scope="module")
def bank_folder(model: StoredModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bank, labelled by rules on its latents."""
    folder = tmp_path_factory.mktemp("bank")
    make_bank(model, 200, folder)
    points = np.asarray(open_bank(folder).latents[:, 0])
    save_labels(
        folder,
        {
            "smile": AttributeLabels(
                ("not_smiling", "smiling"), "rule", binary_scores(points[:, 3])
            ),
            "hair": AttributeLabels(("black", "brown", "blond"), "rule", points[:, 8:11]),
        },
    )
    return folder


def test_a_new_version_offers_what_was_fitted(model: StoredModel, bank_folder: Path) -> None:
    fit = store_directions(model.tag, bank_folder, (), options=QUICK)
    assert fit.left_out == ("stylespace",)
    assert fit.model.version != model.version
    methods = ("interfacegan", "interfacegan-conditional", "ganspace")
    fitted = {(method, name) for method in methods for name in ("smile", "hair")}
    assert fitted == set(available_pairs(fit.model)) - set(available_pairs(model))


def test_fitting_again_gives_the_same_version(model: StoredModel, bank_folder: Path) -> None:
    first = store_directions(model.tag, bank_folder, (), options=QUICK)
    again = store_directions(first.model.tag, bank_folder, (), options=QUICK)
    assert again.model.tag == first.model.tag


def test_an_unknown_method_is_named(model: StoredModel, bank_folder: Path) -> None:
    with pytest.raises(ExportError, match="no 'pca'; there are: interfacegan, "):
        store_directions(model.tag, bank_folder, (), ("pca",))


def test_the_command_stores_and_says_what_it_chose(model: StoredModel, bank_folder: Path) -> None:
    arguments = ["--bank", str(bank_folder), "--per-class", "10", "--components", "4"]
    printed = run("directions", model.tag, *arguments, "--validation", "12")
    assert "interfacegan smile: linear SVM on 10 samples per class" in printed
    assert "ganspace hair: black: " in printed
    assert "stylespace: left out, tiny-compared has no style space" in printed
    assert find_model(printed.split()[-1]).card.name == "tiny-compared"
    refused = run("directions", model.tag, *arguments, "--methods", "stylespace", code=2)
    assert "a dcgan has no style space" in refused
