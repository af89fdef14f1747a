"""editing/released.py equals the released code on its own classifiers (tests/editing/parity.py)."""

from typing import Any

import pytest

from tests.editing.parity import TOLERANCE, classifier_entries, compare_released
from tests.model_store.readers.parity import FIXTURES


@pytest.mark.parametrize("entry", classifier_entries(), ids=lambda entry: entry["format"])
def test_every_stored_number_of_the_released_code_is_met(entry: dict[str, Any]) -> None:
    rows = compare_released(FIXTURES, entry)
    assert [row for row in rows if not row.error <= TOLERANCE] == []
    attributes = entry["config"]["attributes"].split(",")
    assert {f"traj_{name}" for name in attributes} <= {row.what for row in rows}


def test_both_committed_models_are_compared() -> None:
    assert {entry["format"] for entry in classifier_entries()} == {"GradCtrl cat", "GradCtrl ffhq"}
