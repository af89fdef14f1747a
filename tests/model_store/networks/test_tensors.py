"""model_store/networks/tensors.py: what is missing, unknown or misshapen is named."""

import pytest
import torch

from model_store import CheckpointError
from model_store.networks.tensors import require_shapes, require_tensor

SHAPES: dict[str, tuple[int, ...]] = {"a": (2, 3), "b": ()}
TENSORS = {"a": torch.zeros(2, 3), "b": torch.zeros(())}


def test_exactly_these_tensors_pass() -> None:
    require_shapes(TENSORS, SHAPES)
    assert require_tensor(TENSORS, "a", 2) is TENSORS["a"]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"b": TENSORS["b"]}, r"missing tensor 'a' \(1 missing in all\)"),
        ({}, r"missing tensor 'a' \(2 missing in all\)"),
        ({**TENSORS, "y": TENSORS["b"], "x": TENSORS["b"]}, r"unknown tensor 'x' \(2 unknown"),
        ({**TENSORS, "a": torch.zeros(3, 2)}, r"a: expected shape \[2, 3\], found \[3, 2\]"),
        ({**TENSORS, "b": torch.zeros(1)}, r"b: expected shape \[\], found \[1\]"),
    ],
)
def test_others_are_named(tensors: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        require_shapes(tensors, SHAPES)


def test_a_needed_tensor_has_its_axes() -> None:
    with pytest.raises(CheckpointError, match="missing tensor 'c'"):
        require_tensor(TENSORS, "c", 1)
    with pytest.raises(CheckpointError, match=r"a: expected 4 axes, found shape \[2, 3\]"):
        require_tensor(TENSORS, "a", 4)
