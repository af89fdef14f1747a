"""model_store/store.py: content-addressed entries, verified hashes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model_store import (
    CorruptModelError,
    StoredModel,
    UnknownModelError,
    find_model,
    list_models,
    models_to_serve,
    save_model,
)
from tests.doubles import ATTRIBUTES, make_card, make_generator, make_heads


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


def test_heads_that_do_not_fit_the_card_are_refused() -> None:
    wrong = {**make_heads(), "hair": make_heads()["smile"]}
    saved = save_model(make_generator(), make_card("misfit"), wrong)
    with pytest.raises(CorruptModelError, match="hair has 2 classes"):
        saved.heads()
    assert len(ATTRIBUTES) == len(saved.card.attributes)


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
