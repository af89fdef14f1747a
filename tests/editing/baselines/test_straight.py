"""editing/baselines/straight.py: lines of every sample, in latents and in styles."""

import pytest
import torch

from editing import UnsupportedMethodError
from editing.baselines import StraightWalk, StyleWalk, straight_path, style_path

LATENTS = torch.randn(3, 4, 8, generator=torch.manual_seed(0))
DIRECTIONS = torch.eye(8)[[0, 5, 5]]


def test_every_sample_has_its_own_direction_layers_size_and_steps() -> None:
    ranges = torch.tensor([[0, 4], [1, 2], [2, 4]])
    sizes, steps = torch.tensor([0.5, 1.0, 2.0]), torch.tensor([3, 1, 0])
    path = straight_path(LATENTS, DIRECTIONS, ranges, sizes, steps)
    expected = LATENTS[:, None].repeat(1, 4, 1, 1)
    for t in range(4):
        expected[0, t, :, 0] += 0.5 * t
        expected[1, t, 1, 5] += 1.0 * min(t, 1)
    torch.testing.assert_close(path.latents, expected)
    assert not path.refused.any()


def test_a_zero_direction_is_refused_and_stays() -> None:
    directions = DIRECTIONS * torch.tensor([[1.0], [0.0], [1.0]])
    everywhere = torch.tensor([[0, 4]]).expand(3, -1)
    path = straight_path(LATENTS, directions, everywhere, torch.ones(3), torch.tensor([2, 2, 2]))
    assert path.refused.tolist() == [False, True, False]
    assert (path.latents[1] == LATENTS[1]).all()
    styles = style_path(LATENTS, directions, torch.ones(3), torch.tensor([2, 2, 2]))
    assert styles.refused.tolist() == [False, True, False]


def test_style_offsets_grow_and_latents_stay() -> None:
    path = style_path(LATENTS, DIRECTIONS, torch.tensor([0.5, 1.0, 2.0]), torch.tensor([2, 2, 1]))
    assert path.styles is not None
    assert (path.latents == LATENTS[:, None]).all()
    assert path.styles[0, :, 0].tolist() == [0.0, 0.5, 1.0]
    assert path.styles[2, :, 5].tolist() == [0.0, 2.0, 2.0]
    assert int((path.styles != 0).sum()) == 6


def test_methods_take_the_row_of_the_target_class() -> None:
    vectors = torch.stack([-torch.eye(8)[1], torch.eye(8)[2]])
    layers = torch.tensor([[0, 1], [3, 4]])
    method = StraightWalk("ganspace", [None, vectors], [None, layers], [1.0, 0.25])
    path = method.path(LATENTS, 1, torch.tensor([0, 1, 1]), 2)
    moved = path.latents[:, -1] - LATENTS
    torch.testing.assert_close(moved[0, 0, 1], torch.tensor(-0.5))
    torch.testing.assert_close(moved[1:, 3, 2], torch.tensor([0.5, 0.5]))
    assert int((moved != 0).sum()) == 3
    styles = StyleWalk("stylespace", [None, vectors], [1.0, 2.0])
    found = styles.path(LATENTS, 1, torch.tensor([0, 1, 1]), 2).styles
    assert found is not None
    assert found[:, -1].tolist() == (4 * vectors[[0, 1, 1]]).tolist()


def test_an_attribute_without_directions_is_refused() -> None:
    straight = StraightWalk("ganspace", [None], [None], [1.0])
    style = StyleWalk("stylespace", [None], [1.0])
    for method in (straight, style):
        with pytest.raises(UnsupportedMethodError, match="attribute 0 has no direction"):
            method.path(LATENTS, 0, torch.tensor([0, 1, 1]), 2)
