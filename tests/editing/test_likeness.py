"""Distances of images, features and layers."""

import pytest
import torch

from editing import ShapeError, feature_distance, layer_spread, pixel_error


def test_pixel_error_is_that_of_pixels_from_0_to_1() -> None:
    black, white = torch.full((2, 3, 4, 4), -1.0), torch.full((2, 3, 4, 4), 5.0)
    assert pixel_error(white, black).tolist() == [1.0, 1.0]  # what is out of range is clamped


def test_feature_distance_is_relative_and_per_sample() -> None:
    wanted = [torch.ones(2, 3, 2, 2), torch.ones(2, 5)]
    found = [torch.stack([torch.ones(3, 2, 2), torch.zeros(3, 2, 2)]), torch.ones(2, 5)]
    assert feature_distance(found, wanted).tolist() == pytest.approx([0.0, 0.5], abs=1e-5)
    with pytest.raises(ShapeError, match="found"):
        feature_distance([torch.ones(1, 2)], [torch.ones(1, 3)])


def test_layer_spread_is_zero_in_w() -> None:
    w = torch.randn(2, 1, 4)
    assert layer_spread(w.expand(-1, 3, -1)).tolist() == pytest.approx([0, 0], abs=1e-10)
    assert (layer_spread(torch.randn(2, 3, 4)) > 0).all()
