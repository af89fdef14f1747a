"""model_store/store.py: content-addressed entries, verified hashes."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import bentoml
import pytest
import torch

from model_store import (
    ONE_LAYER_FILE,
    AttributeCard,
    CorruptModelError,
    ModelStoreError,
    StoredModel,
    UnknownModelError,
    find_model,
    list_models,
    models_to_serve,
    read_heads,
    save_attributes,
    save_model,
)
from tests.doubles import (
    ATTRIBUTES,
    make_card,
    make_generator,
    make_head,
    make_heads,
    make_style_card,
    make_style_generator,
)
from tests.full_disks import files_up_to


def store(name: str, seed: int = 0) -> StoredModel:
    return save_model(make_generator(seed=seed), make_card(name), make_heads())


def test_a_stored_model_comes_back() -> None:
    saved = store("round-trip")
    found = find_model("round-trip")
    assert found.tag == saved.tag
    assert found.tag.startswith("gradctrl-round-trip:")
    assert {"generator.safetensors", "classifiers.safetensors"} == set(found.card.files)
    latents = torch.randn(2, 1, 16)
    torch.testing.assert_close(
        found.generator().synthesis(latents), make_generator().synthesis(latents)
    )
    for name, head in make_heads().items():
        torch.testing.assert_close(found.heads()[name].class_weight, head.class_weight)


def test_the_same_model_is_the_same_version_and_becomes_the_latest_again() -> None:
    first, second = store("twice", seed=0), store("twice", seed=1)
    assert first.tag != second.tag
    assert find_model("twice").tag == second.tag
    assert store("twice", seed=0).tag == first.tag
    assert find_model("twice").tag == first.tag
    assert find_model(second.tag).tag == second.tag


def test_a_full_disk_costs_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = store("no-room")
    with files_up_to(500), pytest.raises(ModelStoreError, match=r"generator\.safetensors: cannot"):
        store("no-room")
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "card.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        store("no-room")
    assert find_model("no-room").tag == saved.tag


def test_a_model_without_attributes_has_no_heads() -> None:
    saved = save_model(make_generator(), make_card("plain", attributes=()), {})
    assert saved.stacked_heads() is None
    assert saved.heads() == {}


def test_a_changed_file_is_refused() -> None:
    saved = store("tampered")
    path = saved.path / "generator.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptModelError, match=r"generator\.safetensors has sha256"):
        find_model("tampered")
    path.unlink()
    with pytest.raises(CorruptModelError, match="is missing"):
        find_model("tampered")
    bentoml.models.delete(saved.tag)  # a service of all models would not start beside it


def test_heads_that_do_not_fit_the_card_are_refused() -> None:
    wrong = {**make_heads(), "hair": make_heads()["smile"]}
    saved = save_model(make_generator(), make_card("misfit"), wrong)
    with pytest.raises(CorruptModelError, match="hair has 2 classes"):
        saved.heads()
    assert len(ATTRIBUTES) == len(saved.card.attributes)


SMILE, AGE, HAIR = ATTRIBUTES
GLASSES = AttributeCard(name="glasses", classes=("no_glasses", "glasses"))
WIDE = make_style_card().latent_shape[0] * make_style_card().latent_shape[1]


@pytest.fixture(scope="module")
def both(bentoml_home: Path) -> StoredModel:
    """A tiny StyleGAN2 with heads of all layers, and those of one layer beside them."""
    card = make_style_card("tiny-both")
    narrow = save_model(make_style_generator(card), card, make_heads())
    wide = {one.name: make_head(len(one.classes), 9, WIDE) for one in ATTRIBUTES}
    return save_attributes(narrow, ATTRIBUTES, wide)


@pytest.mark.parametrize("attribute", [SMILE, AGE, HAIR, GLASSES])
def test_a_new_head_of_one_layer_joins_those_beside(
    both: StoredModel, attribute: AttributeCard
) -> None:
    head = make_head(len(attribute.classes), 7)
    stored = save_attributes(both, [attribute], {attribute.name: head})
    assert stored.card.heads_read == "all_layers"
    assert ONE_LAYER_FILE in stored.card.files
    found = read_heads(stored.path / ONE_LAYER_FILE, stored.card.attributes)
    torch.testing.assert_close(found[attribute.name].class_weight, head.class_weight)


@pytest.mark.parametrize("classes", [("no", "little", "much"), SMILE.classes[::-1]])
def test_other_classes_take_a_new_head_of_one_layer_or_none(
    both: StoredModel, classes: tuple[str, ...]
) -> None:
    changed = SMILE.with_side_effects(()).model_copy(update={"classes": classes})
    narrow = save_attributes(both, [changed], {"smile": make_head(len(classes), 7)})
    heads = narrow.one_layer_heads()
    assert heads is not None
    assert heads.class_bias[0].isfinite().sum() == len(classes)
    wide = save_attributes(both, [changed], {"smile": make_head(len(classes), 7, WIDE)})
    assert wide.one_layer_heads() is None


def test_side_effects_on_an_attribute_with_a_new_head_are_forgotten(both: StoredModel) -> None:
    hair = ATTRIBUTES[2]
    assert [one.attribute for one in SMILE.side_effects] == [hair.name]
    kept = save_attributes(both, [AGE], {"age": make_head(2, 7, WIDE)}).card.attributes
    lost = save_attributes(both, [hair], {"hair": make_head(3, 7, WIDE)}).card.attributes
    assert kept[0].side_effects == SMILE.side_effects
    assert lost[0].side_effects == ()


def test_new_heads_of_all_layers_leave_those_of_one_layer(both: StoredModel) -> None:
    stored = save_attributes(both, [AGE], {"age": make_head(2, 7, WIDE)})
    assert stored.card.files[ONE_LAYER_FILE] == both.card.files[ONE_LAYER_FILE]
    tuned = save_attributes(stored, [AGE], {})
    assert tuned.tag == stored.tag
    lacking = save_attributes(both, [GLASSES], {"glasses": make_head(2, 7, WIDE)})
    assert lacking.one_layer_heads() is None


def test_a_store_that_takes_no_version_is_found_out_before(both: StoredModel) -> None:
    both.expect_writable()
    with pytest.raises(OSError, match="/proc"):
        replace(both, path=Path("/proc/store/version")).expect_writable()


def test_unknown_models_are_listed() -> None:
    store("known")
    with pytest.raises(UnknownModelError, match="known"):
        find_model("nobody")
    with pytest.raises(UnknownModelError):
        find_model("known:ffffffffffff")
    with pytest.raises(UnknownModelError):
        models_to_serve(("known", "../../etc"))
    assert "known" in [model.card.name for model in list_models()]


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    code = "from model_store import models_to_serve; models_to_serve(())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "BENTOML_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "EmptyStoreError: the model store is empty; run: gradctrl fetch avatars" in done.stderr
