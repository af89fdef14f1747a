"""model_store/face_finders.py: the face networks of a stored model, where it has them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from export.face_networks import write_face_networks
from model_store import FACES_FILE, CorruptModelError, StoredModel, face_finder, save_model
from tests.doubles import make_card, make_generator


def stored(name: str, files: dict[str, Path]) -> StoredModel:
    card = make_card(name).model_copy(update={"attributes": ()})
    return save_model(make_generator(card), card, {}, files)


def test_a_model_may_have_none(bentoml_home: Path) -> None:
    assert face_finder(stored("faceless", {})) is None


def test_what_a_fetch_stored_is_read(
    bentoml_home: Path, face_api_package: Path, tmp_path: Path
) -> None:
    networks = write_face_networks(face_api_package, tmp_path / FACES_FILE)
    finder = face_finder(stored("faced", {FACES_FILE: networks}))
    assert finder is not None
    assert finder.recognises


def test_a_file_of_something_else_is_named(bentoml_home: Path, tmp_path: Path) -> None:
    other = tmp_path / FACES_FILE
    save_file({"other": torch.zeros(1)}, other)
    model = stored("broken", {FACES_FILE: other})
    with pytest.raises(CorruptModelError, match=r"faces\.safetensors: faces: missing tensors"):
        face_finder(model)
