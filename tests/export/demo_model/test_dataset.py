"""Splits depend on their seed alone, can be resumed, and refuse what they are not."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("python_avatars", reason="extra demo-model")
pytest.importorskip("resvg_py", reason="extra demo-model")

from export.demo_model import dataset
from export.demo_model.dataset import (
    HELD_OUT,
    TRAIN,
    DatasetError,
    make_split,
    open_split,
    sample_image,
    sample_labels,
)

SAMPLES = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("avatars")
    for split in (TRAIN, HELD_OUT):
        make_split(made, split, SAMPLES, processes=1)
    return made


def test_an_image_depends_on_seed_and_index_alone(folder: Path) -> None:
    split = open_split(folder, TRAIN)
    assert split.images.shape == (SAMPLES, 64, 64, 3)
    assert split.images.dtype == np.uint8
    np.testing.assert_array_equal(split.images[7], sample_image(1, 7))
    assert {name: int(values[7]) for name, values in split.labels.items()} == sample_labels(1, 7)


def test_splits_differ(folder: Path) -> None:
    train, held_out = open_split(folder, TRAIN), open_split(folder, HELD_OUT)
    assert not any((one == train.images).all(axis=(1, 2, 3)).any() for one in held_out.images)


def test_labels_are_int64(folder: Path) -> None:
    assert all(v.dtype == np.int64 for v in open_split(folder, TRAIN).labels.values())


def test_resumed_rendering_continues_where_it_stopped(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "_CHUNK", 4)

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_split(tmp_path, TRAIN, SAMPLES, processes=1, progress=stop)
    with pytest.raises(DatasetError, match="no complete split"):
        open_split(tmp_path, TRAIN)
    notes: list[int] = []
    make_split(tmp_path, TRAIN, SAMPLES, processes=1, progress=notes.append)
    assert notes == [8, 10]
    np.testing.assert_array_equal(
        open_split(tmp_path, TRAIN).images, open_split(folder, TRAIN).images
    )


def test_two_processes_render_the_same(folder: Path, tmp_path: Path) -> None:
    make_split(tmp_path, TRAIN, SAMPLES, processes=2)
    np.testing.assert_array_equal(
        open_split(tmp_path, TRAIN).images, open_split(folder, TRAIN).images
    )


def test_another_split_in_the_folder_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetError, match="holds another split"):
        make_split(folder, TRAIN, SAMPLES + 1, processes=1)


def test_a_broken_description_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(json.dumps({"split": "train"}))
    with pytest.raises(DatasetError, match="not a description"):
        open_split(tmp_path, TRAIN)


def test_a_missing_split_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"python -m export\.demo_model\.dataset"):
        open_split(tmp_path, HELD_OUT)
