"""editing/methods.py: the default walk as a method."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from editing import (
    EditingError,
    EditSettings,
    GradCtrlWalk,
    ShapeError,
    edited_point,
    stack_heads,
    walk,
)
from editing.methods import pad_points, plan_batch
from tests.doubles import make_head

HEADS = stack_heads([make_head(2, 0), make_head(2, 1), make_head(3, 2)])
SETTINGS = [
    EditSettings((0, 3, 0), (1, 3), 0.5),
    EditSettings((16, 0, 0), (0, 4), 0.5),
    EditSettings((0, 0, 0), (0, 4), 0.2),
]
METHOD = GradCtrlWalk(HEADS, SETTINGS)


def latents(count: int = 3) -> Tensor:
    return torch.randn(count, 4, 16, generator=torch.manual_seed(3))


def test_a_path_is_the_walk_on_its_layers() -> None:
    start, target = latents(), torch.tensor([1, 0, 1])
    path = METHOD.path(start, 0, target, 5)
    assert path.latents.shape == (3, 6, 4, 16)
    assert path.styles is None
    assert (path.latents[:, 0] == start).all()
    assert (path.latents[:, :, [0, 3]] == start[:, None, [0, 3]]).all()
    plan, ranges = plan_batch(SETTINGS, start, 0, target, 5)
    points = walk(HEADS, edited_point(start, ranges), plan).points
    torch.testing.assert_close(path.latents[:, :, 1:3].mean(dim=2), points)


def test_settings_give_rows_their_noise() -> None:
    noisy = GradCtrlWalk(HEADS, [replace(one, row_noise=0.8) for one in SETTINGS])
    target = torch.tensor([1, 0, 1])
    moved = (noisy.path(latents(), 0, target, 1).latents - latents()[:, None]).flatten(1)
    plain = (METHOD.path(latents(), 0, target, 1).latents - latents()[:, None]).flatten(1)
    assert (torch.cosine_similarity(moved, plain) < 0.999).all()


def test_fully_masked_samples_are_refused_and_stay() -> None:
    path = METHOD.path(latents(), 1, torch.tensor([1, 0, 1]), 5)
    assert path.latents.shape == (3, 6, 4, 16)
    assert path.refused.all()
    assert (path.latents == latents()[:, None]).all()


def test_no_steps_are_the_start_alone() -> None:
    path = METHOD.path(latents(), 2, torch.tensor([1, 0, 2]), 0)
    assert (path.latents == latents()[:, None]).all()


def test_short_walks_stay_at_their_last_point() -> None:
    points = torch.randn(2, 3, 16)
    padded = pad_points(points, 5)
    assert (padded[:, :3] == points).all()
    assert (padded[:, 3:] == points[:, -1:]).all()
    assert padded.shape == (2, 6, 16)


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(EditingError, match=r"attribute: expected 0\.\.2, got 3"):
        METHOD.path(latents(), 3, torch.tensor([1, 0, 1]), 5)
    with pytest.raises(EditingError, match="steps: expected 0 or more, got -1"):
        METHOD.path(latents(), 0, torch.tensor([1, 0, 1]), -1)
    with pytest.raises(ShapeError, match="target"):
        METHOD.path(latents(), 0, torch.tensor([1, 0]), 5)
