"""export/demo_model/edits.py: the tables and the test samples."""

import numpy as np
import pytest

from export.demo_model import edits
from export.demo_model.avatar_networks import NAME
from export.fetching import fetch_model
from export.outcomes import Outcome


def test_tables_count_pairs() -> None:
    before = np.array([[0, 0], [0, 0], [1, 0]])
    after = np.array([[1, 0], [1, 1], [1, 0]])
    outcome = Outcome(before, after, 0, np.array([1, 1, 0]), ("hair", "smile"))
    assert "| 3 | 0.67 | 0.33 |" in edits.as_table({"hair": outcome})
    assert "1.00 / 0.50 (2)" in edits.pair_table(outcome, ("black", "brown"))


@pytest.mark.usefixtures("bentoml_home")
def test_shipped_defaults_reach_their_targets_more_often_than_not() -> None:
    fetch_model(NAME)
    outcomes = edits.measure(16)
    assert len(outcomes) == 8
    assert np.mean([one.reached.mean() for one in outcomes.values()]) > 0.5
