"""model_store/directions.py: what the baselines fitted, kept with a model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from editing import Head
from model_store import (
    DIRECTIONS_FILE,
    CorruptModelError,
    Directions,
    StoredModel,
    save_attributes,
    save_directions,
    save_model,
    stored_directions,
)
from tests.doubles import ATTRIBUTES, make_card, make_generator, make_heads

SMILE = Directions(
    "interfacegan",
    "smile",
    ("not_smiling", "smiling"),
    torch.stack([-torch.eye(16)[3], torch.eye(16)[3]]),
    torch.tensor([[0, 1], [0, 1]]),
    "by hand",
)
HAIR = Directions(
    "ganspace",
    "hair",
    ("black", "brown", "blond"),
    torch.eye(16)[:3],
    torch.tensor([[0, 1]] * 3),
)


@pytest.fixture(scope="module")
def model(bentoml_home: Path) -> StoredModel:
    return save_model(make_generator(), make_card("tiny-directed"), make_heads())


def test_directions_come_back_as_they_were(model: StoredModel) -> None:
    stored = save_directions(model, [SMILE, HAIR])
    assert stored.version != model.version
    assert DIRECTIONS_FILE in stored.card.files
    found = {one.key: one for one in stored_directions(stored)}
    assert found.keys() == {"interfacegan.smile", "ganspace.hair"}
    for one in (SMILE, HAIR):
        other = found[one.key]
        assert torch.equal(other.vectors, one.vectors)
        assert torch.equal(other.layers, one.layers)
        assert (other.classes, other.remark) == (one.classes, one.remark)
    assert stored_directions(model) == []


def test_the_same_directions_are_the_same_version(model: StoredModel) -> None:
    versions = {save_directions(model, pair).version for pair in ([SMILE, HAIR], [HAIR, SMILE])}
    assert len(versions) == 1


def test_new_ones_replace_those_of_the_same_method_and_attribute(model: StoredModel) -> None:
    first = save_directions(model, [SMILE, HAIR])
    other = replace(SMILE, vectors=SMILE.vectors.flip(0), remark="again")
    found = {one.key: one for one in stored_directions(save_directions(first, [other]))}
    assert found["interfacegan.smile"].remark == "again"
    assert torch.equal(found["ganspace.hair"].vectors, HAIR.vectors)


def test_they_outlive_new_heads_but_not_other_classes(model: StoredModel) -> None:
    stored = save_directions(model, [SMILE, HAIR])
    again = save_attributes(stored, [ATTRIBUTES[1]], {"age": make_heads()["age"]})
    assert len(stored_directions(again)) == 2
    renamed = ATTRIBUTES[0].with_side_effects(()).model_copy(update={"classes": ("sad", "glad")})
    heads: dict[str, Head] = {"smile": make_heads()["smile"]}
    changed = save_attributes(stored, [renamed], heads)
    assert [one.key for one in stored_directions(changed)] == ["ganspace.hair"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vectors": torch.full((2, 16), torch.nan)}, r"expected finite \[2, 16\]"),
        ({"vectors": torch.zeros(2, 15)}, r"expected finite \[2, 16\], got \[2, 15\]"),
        ({"vectors": torch.zeros(3, 16)}, r"expected finite \[2, 16\], got \[3, 16\]"),
        ({"vectors": torch.zeros(2, 16, dtype=torch.int64)}, "expected finite"),
        ({"layers": torch.tensor([[0, 2], [0, 1]])}, r"expected layers \[2, 2\] within 0\.\.1"),
        ({"layers": torch.tensor([[0, 0], [0, 1]])}, "expected layers"),
        ({"layers": torch.tensor([[0.0, 1.0], [0.0, 1.0]])}, "expected layers"),
    ],
)
def test_directions_that_do_not_fit_are_refused(
    model: StoredModel, change: dict[str, torch.Tensor], reason: str
) -> None:
    stored = save_directions(model, [replace(SMILE, **change)])  # type: ignore[arg-type]
    with pytest.raises(CorruptModelError, match=reason):
        stored_directions(stored)


@pytest.mark.parametrize(
    "metadata",
    [None, {"directions": "no json"}, {"directions": "[{}]"}, {"directions": "3"}],
)
def test_a_broken_description_is_a_corrupt_model(
    tmp_path: Path, model: StoredModel, metadata: dict[str, str] | None
) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / DIRECTIONS_FILE, metadata)
    files = {**model.card.files, DIRECTIONS_FILE: "0" * 64}
    broken = StoredModel("t:1", tmp_path, model.card.model_copy(update={"files": files}))
    with pytest.raises(CorruptModelError, match=DIRECTIONS_FILE):
        stored_directions(broken)


def test_a_listed_tensor_that_is_missing_is_a_corrupt_model(
    tmp_path: Path, model: StoredModel
) -> None:
    entry = {"method": "ganspace", "attribute": "hair", "classes": [], "remark": ""}
    metadata = {"directions": json.dumps([entry])}
    save_file({"a": torch.zeros(1)}, tmp_path / DIRECTIONS_FILE, metadata)
    files = {**model.card.files, DIRECTIONS_FILE: "0" * 64}
    broken = StoredModel("t:1", tmp_path, model.card.model_copy(update={"files": files}))
    with pytest.raises(CorruptModelError, match=r"ganspace\.hair\.vectors"):
        stored_directions(broken)
