"""export/labels.py: scores on disk, whole or as they were before."""

from pathlib import Path

import numpy as np
import pytest

from export.errors import LabelError
from export.labels import (
    AttributeLabels,
    binary_scores,
    certain_scores,
    read_labels,
    remove_labels,
    save_labels,
)
from tests.doubles import ATTRIBUTES
from tests.full_disks import files_up_to

SMILES = AttributeLabels(
    ("smiling", "not_smiling"), "people, a.csv", certain_scores(np.array([0, 1, 1, -1]), 2)
)


def test_binary_scores_are_positive_for_the_second_class() -> None:
    one = AttributeLabels(("no", "yes"), "x", binary_scores(np.array([-2.0, 0.5, np.nan])))
    assert one.labels().tolist() == [0, 1, -1]
    np.testing.assert_allclose(one.confidence()[:2], [2.0, 0.5])


def test_labels_round_trip(tmp_path: Path) -> None:
    first = AttributeLabels(("a", "b", "c"), "pixels", np.eye(3, dtype=np.float32), "note")
    second = AttributeLabels(("no", "yes"), "people", binary_scores(np.ones(3)))
    save_labels(tmp_path, {"colour": first, "file": second})
    found = read_labels(tmp_path)
    assert list(found) == ["colour", "file"]
    assert found["colour"].labels().tolist() == [0, 1, 2]
    assert (found["colour"].classes, found["colour"].notes) == (("a", "b", "c"), "note")


def test_labels_of_the_first_samples_leave_the_rest_unlabelled() -> None:
    few = AttributeLabels(("no", "yes"), "test", binary_scores(np.array([1.0, -1.0])))
    padded = few.padded(4)
    np.testing.assert_array_equal(padded.labels(), [1, 0, -1, -1])
    assert (padded.classes, padded.labelled_by) == (few.classes, few.labelled_by)


def test_a_folder_without_labels(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="run: gradctrl label"):
        read_labels(tmp_path)


def test_classes_are_ordered_as_those_of_a_card(tmp_path: Path) -> None:
    save_labels(tmp_path, {"smile": SMILES, "hair": SMILES})
    found = read_labels(tmp_path, ATTRIBUTES)
    assert found["smile"].classes == ("not_smiling", "smiling")
    assert found["smile"].names().tolist() == ["smiling", "not_smiling", "not_smiling", ""]
    assert found["hair"].classes == SMILES.classes  # the card's are others


def test_later_labels_replace_those_of_the_same_samples() -> None:
    later = AttributeLabels(
        ("little", "smiling"), "people, b.csv", certain_scores(np.array([-1, 0, -1, 1]), 2)
    )
    both = SMILES.updated(later)
    assert both.classes == ("smiling", "not_smiling", "little")
    assert both.names().tolist() == ["smiling", "little", "not_smiling", "smiling"]
    assert both.labelled_by == "people, a.csv; people, b.csv"
    assert both.updated(later).labelled_by == both.labelled_by
    alone = later.updated(both)
    assert (alone.labelled_by, alone.names().tolist()) == (both.labelled_by, both.names().tolist())


def test_people_are_surer_than_any_classifier() -> None:
    read = AttributeLabels(("no", "yes"), "x", binary_scores(np.array([-40.0, 40.0, 1.0])))
    people = AttributeLabels(("yes",), "people", certain_scores(np.array([-1, -1, 0]), 1))
    both = read.updated(people)
    assert both.labels().tolist() == [0, 1, 1]
    assert both.confidence().argmax() == 2


def test_removed_labels_are_gone(tmp_path: Path) -> None:
    save_labels(tmp_path, {"smile": SMILES, "age": SMILES})
    assert list(remove_labels(tmp_path, ["smile"])) == ["age"]
    assert list(read_labels(tmp_path)) == ["age"]
    with pytest.raises(LabelError, match=r"\['smile'\] are not labelled; there are \['age'\]"):
        remove_labels(tmp_path, ["smile"])


def test_a_full_disk_keeps_the_labels_of_before(tmp_path: Path) -> None:
    save_labels(tmp_path, {"smile": SMILES})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    many = AttributeLabels(("no", "yes"), "x", binary_scores(np.ones(5000)))
    with files_up_to(20_000), pytest.raises(LabelError, match="labels cannot be written"):
        save_labels(tmp_path, {"smile": SMILES, "age": many})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip"])
@pytest.mark.parametrize("name", ["labels.npz", "labels.json"])
def test_broken_files_are_no_usable_labels(name: str, content: bytes, tmp_path: Path) -> None:
    save_labels(tmp_path, {"smile": SMILES})
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LabelError, match="no usable labels"):
        read_labels(tmp_path)
