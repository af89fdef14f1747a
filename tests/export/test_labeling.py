"""export/labeling.py: what becomes of the labels that a bank has already."""

from pathlib import Path

import pytest

from export.banks import make_bank
from export.errors import LabelError
from export.labeling import label_bank
from export.labels import read_labels
from model_store import StoredModel


@pytest.fixture
def bank(tiny: StoredModel, tmp_path: Path) -> Path:
    make_bank(tiny, 6, tmp_path / "bank")
    return tmp_path / "bank"


def label(bank: Path, rows: str) -> list[str]:
    """Label by a table with these rows; the warnings."""
    table = bank.parent / "people.csv"
    table.write_text(f"sample,background\n{rows}\n")
    warnings: list[str] = []
    label_bank(bank, None, table, warn=warnings.append)
    return warnings


def test_a_second_table_adds_to_the_first(bank: Path) -> None:
    assert label(bank, "0,dark\n1,bright\n2,dark") == []
    assert label(bank, "3,dark\n1,bright") == []  # one class is enough beside the others
    told = label(bank, "2,bright")
    assert told == ["background: 1 of 4 labels (people, people.csv) are replaced"]
    names = read_labels(bank)["background"].names()
    assert names.tolist() == ["dark", "bright", "bright", "dark", "", ""]


def test_a_labeler_replaces_and_people_correct_it(bank: Path) -> None:
    label(bank, "0,pink\n1,grey")
    warnings: list[str] = []
    label_bank(bank, "background", None, warn=warnings.append)
    assert warnings == [
        "background: 2 of 2 labels (people, people.csv) are replaced",
        "background: classes are now dark, medium, light; were grey, pink",
    ]
    assert label(bank, "0,pink") == [
        "background: 1 of 6 labels (pixel brightness) are replaced",
        "background: classes are now dark, medium, light, pink; were dark, medium, light",
    ]
    found = read_labels(bank)["background"]
    assert found.names()[0] == "pink"
    assert "" not in found.names()


def test_one_class_alone_is_refused(bank: Path) -> None:
    with pytest.raises(LabelError, match="background needs at least two classes"):
        label(bank, "0,dark\n1,dark")
    assert not (bank / "labels.npz").exists()


def test_unusable_labels_are_replaced(bank: Path) -> None:
    label(bank, "0,dark\n1,bright")
    (bank / "labels.json").unlink()
    assert label(bank, "0,dark\n1,bright")[0].startswith("starting anew:")
    assert read_labels(bank)["background"].labels()[:2].tolist() == [1, 0]
