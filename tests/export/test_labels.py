"""export/labels.py: scores on disk and labels by people."""

from pathlib import Path

import numpy as np
import pytest

from export.errors import LabelError
from export.labels import AttributeLabels, binary_scores, read_csv, read_labels, save_labels


def test_binary_scores_are_positive_for_the_second_class() -> None:
    one = AttributeLabels(("no", "yes"), "x", binary_scores(np.array([-2.0, 0.5, np.nan])))
    assert one.labels().tolist() == [0, 1, -1]
    np.testing.assert_allclose(one.confidence()[:2], [2.0, 0.5])


def test_labels_round_trip_and_merge(tmp_path: Path) -> None:
    first = AttributeLabels(("a", "b", "c"), "pixels", np.eye(3, dtype=np.float32), "note")
    second = AttributeLabels(("no", "yes"), "people", binary_scores(np.ones(3)))
    save_labels(tmp_path, {"colour": first})
    save_labels(tmp_path, {"smile": second})
    found = read_labels(tmp_path)
    assert list(found) == ["colour", "smile"]
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


def test_csv_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("sample,smile,hair\n0,yes,red\n4,no,\n2,,blue\n")
    found = read_csv(path, 5)
    assert found["smile"].classes == ("no", "yes")
    assert found["smile"].labels().tolist() == [1, -1, -1, -1, 0]
    assert found["hair"].labels().tolist() == [1, -1, 0, -1, -1]
    assert found["hair"].labelled_by == "people, labels.csv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smile\nyes\n", "expected columns"),
        ("sample\n1\n", "expected columns"),
        ("sample,smile\n9,yes\n", "line 2: sample '9'"),
        ("sample,smile\nx,yes\n", "line 2: sample 'x'"),
        ("sample,smile\n1,yes\n2,yes\n", "at least two classes"),
        ("", "expected columns"),
    ],
)
def test_bad_csv_files(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(LabelError, match=message):
        read_csv(path, 5)
