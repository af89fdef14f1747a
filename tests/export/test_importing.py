"""export/importing.py: checkpoints and classifiers of others become versions in the store."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from export.errors import ImportFileError
from export.importing import import_checkpoint, import_classifiers
from export.training import write_heads
from model_store import (
    CheckpointError,
    CorruptModelError,
    ModelStoreError,
    StoredModel,
    find_model,
    list_models,
    save_model,
    sha256_of,
)
from model_store.networks.stylegan2_initial import Stylegan2Sizes
from tests.doubles import make_heads, make_style_card, make_style_generator
from tests.model_store.networks.random_stylegan2 import make_stylegan2, random_stylegan2
from tests.model_store.readers.parity import FIXTURES, reference_arrays, relative_error

RELEASED = FIXTURES / "gradctrl_released"
CONDITIONAL = FIXTURES / "sg2ada_cond.pkl"  # w as wide as the released classifiers read


@pytest.fixture(scope="module")
def wide(bentoml_home: Path) -> StoredModel:
    """A stored model of 8 layers and 512 channels."""
    return import_checkpoint(CONDITIONAL, "wide")


def test_a_checkpoint_is_stored_with_its_card(wide: StoredModel) -> None:
    stored = find_model("wide")
    assert stored == wide
    card = stored.card
    assert (card.name, card.family, card.c_dim, card.attributes) == ("wide", "stylegan2", 3, ())
    assert card.provenance.source_sha256 == sha256_of(CONDITIONAL)
    arrays = reference_arrays(FIXTURES, {"reference": "sg2ada_cond.ref.npz"})
    images = stored.generator().synthesis(arrays["w_psi1"])
    assert relative_error(images, arrays["img_psi1_const"]) <= 1e-4


def test_importing_again_gives_the_same_version(wide: StoredModel) -> None:
    assert import_checkpoint(CONDITIONAL, "wide").tag == wide.tag
    other = import_checkpoint(CONDITIONAL, "wide", "stylegan2-pytorch", licence="CC0")
    assert other.tag != wide.tag
    assert other.card.provenance.licence == "CC0"
    assert import_checkpoint(CONDITIONAL, "wide").tag == wide.tag == find_model("wide").tag


@pytest.mark.parametrize("name", ["", "Mine", "a b", "-x", "a/b", "x" * 65, "mine:1", "mine\n"])
def test_names_are_checked_before_anything_is_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match="--name: expected up to 64 of a-z"):
        import_checkpoint(tmp_path / "nowhere", name)


def test_a_refused_file_stores_nothing(bentoml_home: Path) -> None:
    for path in (FIXTURES / "hostile" / "nan_weights.pkl", FIXTURES / "manifest.json"):
        with pytest.raises(CheckpointError, match=path.name):
            import_checkpoint(path, "refused")
    assert "refused" not in {model.card.name for model in list_models()}


def test_released_classifiers_become_a_new_version(wide: StoredModel) -> None:
    added = import_classifiers(RELEASED / "model_ffhq", wide)
    assert added.tag != wide.tag
    assert [a.name for a in added.card.attributes] == [
        "gender",
        "smile",
        "eyeglasses",
        "age",
        "pose",
    ]
    # The model has 8 layers: 2..10, 2..8, 1..4 and 4..10 are cut where they leave it.
    layers = {a.name: a.defaults.layers for a in added.card.attributes}
    assert layers == {
        "gender": (2, 8),
        "smile": (2, 8),
        "eyeglasses": (1, 4),
        "age": (4, 8),
        "pose": None,
    }
    heads = added.stacked_heads()
    assert heads is not None
    assert heads.num_channels == 512
    both = import_classifiers(RELEASED / "model_cat", added)
    assert [a.name for a in both.card.attributes][-1] == "color"
    assert both.card.attributes[-1].defaults.layers == (6, 8)
    assert len(both.heads()) == 6


def test_class_names_can_be_given(wide: StoredModel) -> None:
    named = import_classifiers(RELEASED / "model_ffhq", wide, {"pose": ["left", "right"]})
    assert named.card.attributes[-1].classes == ("left", "right")


def test_layers_beyond_a_small_model_become_all(bentoml_home: Path) -> None:
    tensors = random_stylegan2(Stylegan2Sizes({4: 4, 8: 4}, 8, 512, mapping_layers=1))
    generator = make_stylegan2(tensors)
    card = generator.card.model_copy(update={"name": "small"})
    added = import_classifiers(RELEASED / "model_cat", save_model(generator, card, {}))
    assert added.card.attributes[0].defaults.layers is None


def test_our_own_heads_survive_the_round_trip(tmp_path: Path, bentoml_home: Path) -> None:
    card = make_style_card("round-trip")
    model = save_model(make_style_generator(card), card, make_heads())
    write_heads(model, tmp_path)
    bare = save_model(make_style_generator(card), card.model_copy(update={"attributes": ()}), {})
    added = import_classifiers(tmp_path, bare)
    assert added.card.attributes == model.card.attributes
    for name, head in model.heads().items():
        assert torch.equal(added.heads()[name].hidden_weight, head.hidden_weight)
        assert torch.equal(added.heads()[name].class_bias, head.class_bias)


def test_widths_must_fit(tiny_style: StoredModel) -> None:
    with pytest.raises(ImportFileError, match="gender reads 512 channels, latents of tiny-style"):
        import_classifiers(RELEASED / "model_ffhq", tiny_style)


def test_folders_without_classifiers_are_refused(tiny_style: StoredModel, tmp_path: Path) -> None:
    expected = r"expected model\.pth and model_params\.pkl, or one NAME\.safetensors"
    for folder in (tmp_path, tmp_path / "nowhere", CONDITIONAL):
        with pytest.raises(ImportFileError, match=expected):
            import_classifiers(folder, tiny_style)
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").touch()
        (tmp_path / f"{name}.json").touch()
    with pytest.raises(ImportFileError, match=expected):
        import_classifiers(tmp_path, tiny_style)


def test_classes_are_for_released_classifiers(tiny_style: StoredModel, tmp_path: Path) -> None:
    write_heads(tiny_style, tmp_path)
    with pytest.raises(ImportFileError, match="--classes is for released GradCtrl classifiers"):
        import_classifiers(tmp_path, tiny_style, {"smile": ["a", "b"]})


def changed_entries(entries: list[dict[str, Any]], change: str) -> object:
    if change == "unknown exclusion":
        entries[0]["defaults"]["exclude"] = [{"attribute": "beard", "top_k": 3}]
    elif change == "same class twice":
        entries[0]["classes"] = ["same", "same"]
    elif change == "same name twice":
        entries[1]["name"] = entries[0]["name"]
    elif change == "more classes":
        entries[0]["classes"] = ["one", "two", "three"]
    elif change == "extra key":
        entries[0]["surprise"] = 1
    elif change == "no list":
        return {"smile": entries[0]}
    elif change == "number":
        return 3
    return entries


@pytest.mark.parametrize(
    "change",
    [
        "unknown exclusion",
        "same class twice",
        "same name twice",
        "more classes",
        "extra key",
        "no list",
        "number",
    ],
)
def test_entries_that_do_not_fit_are_refused_and_nothing_is_stored(
    change: str, tmp_path: Path, bentoml_home: Path
) -> None:
    card = make_style_card("unharmed")
    model = save_model(make_style_generator(card), card, make_heads())
    write_heads(model, tmp_path)
    path = tmp_path / "unharmed.json"
    path.write_text(json.dumps(changed_entries(json.loads(path.read_text()), change)))
    bare = card.model_copy(update={"attributes": ()})
    model = save_model(make_style_generator(bare), bare, {})
    try:
        with pytest.raises((ImportFileError, ModelStoreError)) as caught:
            import_classifiers(tmp_path, model)
        assert "\n" not in str(caught.value)  # the command prints one line
        assert find_model("unharmed").tag == model.tag
        list_models()
    finally:
        _forget_broken("unharmed")


def _forget_broken(name: str) -> None:
    """Take a broken entry out of the store, so that other tests do not meet it."""
    import bentoml

    try:
        find_model(name)
    except CorruptModelError:
        bentoml.models.delete(bentoml.models.get(f"gradctrl-{name}").tag)
