"""model_store/networks/styles.py: one equalised affine map per layer."""

import pytest
import torch

from editing import ShapeError
from model_store.networks.styles import layer_styles


def test_each_layer_maps_its_own_w() -> None:
    draw = torch.Generator().manual_seed(0)
    tensors = {"mapping.w_avg": torch.zeros(9)}
    for name, width in (("a", 3), ("b", 5)):
        tensors[f"synthesis.{name}.affine.weight"] = torch.randn(width, 9, generator=draw)
        tensors[f"synthesis.{name}.affine.bias"] = torch.randn(width, generator=draw)
    latents = torch.randn(2, 4, 9, generator=draw)
    found = layer_styles(tensors, {"a": 3, "b": 1}, latents.double())
    for name, index in (("a", 3), ("b", 1)):
        weight = tensors[f"synthesis.{name}.affine.weight"] / 3  # the square root of nine inputs
        expected = latents[:, index] @ weight.T + tensors[f"synthesis.{name}.affine.bias"]
        torch.testing.assert_close(found[name], expected)
    for shape in ((2, 3, 9), (2, 4, 8), (4, 9)):
        with pytest.raises(ShapeError, match="latents"):
            layer_styles(tensors, {"a": 3, "b": 1}, torch.zeros(shape))
