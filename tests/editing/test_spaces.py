"""editing/spaces.py: deltas touch the chosen layers only."""

import pytest
import torch

from editing import ShapeError, apply_deltas, edited_point, layer_mask


def test_layer_ranges_are_half_open() -> None:
    mask = layer_mask(torch.tensor([[1, 3], [0, 4]]), 4)
    assert mask.tolist() == [[False, True, True, False], [True] * 4]


def test_the_point_is_the_mean_of_the_edited_layers() -> None:
    latents = torch.arange(8.0).reshape(1, 4, 2)
    torch.testing.assert_close(
        edited_point(latents, torch.tensor([[1, 3]])), torch.tensor([[3.0, 4.0]])
    )


def test_deltas_keep_a_true_w_plus_latent() -> None:
    latents = torch.randn(2, 4, 3)
    deltas = torch.randn(2, 5, 3)
    moved = apply_deltas(latents, deltas, torch.tensor([[1, 3], [0, 4]]))
    assert moved.shape == (2, 5, 4, 3)
    torch.testing.assert_close(moved[0, :, 0], latents[0, 0].expand(5, 3))
    torch.testing.assert_close(moved[0, 2, 1], latents[0, 1] + deltas[0, 2])
    torch.testing.assert_close(moved[1, 4, 3], latents[1, 3] + deltas[1, 4])


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ShapeError, match="deltas"):
        apply_deltas(torch.zeros(1, 2, 3), torch.zeros(1, 5, 4), torch.tensor([[0, 1]]))
    with pytest.raises(ShapeError, match="ranges"):
        edited_point(torch.zeros(1, 2, 3), torch.tensor([[0, 1, 2]]))
