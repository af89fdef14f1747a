"""A judge learns from a few drawings, and is written with what it can do."""

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("python_avatars", reason="extra demo-model")
pytest.importorskip("resvg_py", reason="extra demo-model")

from export.demo_model.attributes import NAMES
from export.demo_model.dataset import TRAIN, Split, make_split, open_split
from export.demo_model.judge import JUDGE_FILE, Judge
from export.demo_model.judge_training import (
    DAMAGES,
    JudgeOptions,
    measure_accuracies,
    train_judge,
    write_judge,
)

MIN_ACCURACY = 0.99


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    folder = tmp_path_factory.mktemp("avatars")
    make_split(folder, TRAIN, 256, processes=1)
    return open_split(folder, TRAIN)


def test_a_short_run_learns_what_is_easy(split: Split, tmp_path: Path) -> None:
    network = train_judge(split, JudgeOptions(epochs=4, batch=16))  # 64 steps
    judge = Judge(write_judge(network, tmp_path))
    accuracies = measure_accuracies(judge, split)
    assert accuracies.keys() == DAMAGES.keys()
    assert accuracies["clean"].keys() == set(NAMES)
    assert accuracies["clean"]["background"] > 0.5  # chance is 0.2


def test_a_seed_names_a_judge(split: Split) -> None:
    few = Split(split.images[:32], {name: values[:32] for name, values in split.labels.items()})
    first, second = (train_judge(few, JudgeOptions(epochs=2, batch=16)) for _ in range(2))
    assert torch.equal(first.heads.weight, second.heads.weight)


def test_the_shipped_judge_reads_damaged_drawings(split: Split) -> None:
    for damage, values in measure_accuracies(Judge(JUDGE_FILE), split).items():
        for name, accuracy in values.items():
            assert accuracy >= MIN_ACCURACY, f"{name} under {damage}: {accuracy}"


def test_wrong_labels_are_counted(split: Split) -> None:
    moved = {name: np.roll(values, 1) for name, values in split.labels.items()}
    accuracies = measure_accuracies(Judge(JUDGE_FILE), Split(split.images, moved))
    assert accuracies["clean"]["hair_colour"] < 0.4
