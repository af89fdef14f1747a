"""model_store/networks/stylegan2_layout.py: blocks, w indices, architecture from tensors."""

import pytest
import torch
from torch import Tensor

from model_store import CheckpointError
from model_store.networks.stylegan2_layout import Stylegan2Options, check_tensors, read_layout
from tests.model_store.networks.random_stylegan2 import narrow_sizes, random_stylegan2

TENSORS = random_stylegan2(narrow_sizes(16))


def test_a_skip_model_shares_the_w_of_a_rgb_with_the_next_convolution() -> None:
    layout = read_layout(TENSORS)
    assert layout.architecture == "skip"
    assert layout.channels == {4: 12, 8: 10, 16: 8}
    assert layout.resolutions == [4, 8, 16]
    assert layout.styles == {
        "b4.conv1": 0,
        "b4.torgb": 1,
        "b8.conv0": 1,
        "b8.conv1": 2,
        "b8.torgb": 3,
        "b16.conv0": 3,
        "b16.conv1": 4,
        "b16.torgb": 5,
    }
    assert (layout.num_ws, layout.w_dim, layout.use_noise, layout.fir_shape) == (
        6,
        16,
        True,
        (4, 4),
    )
    check_tensors(TENSORS, layout, Stylegan2Options())


@pytest.mark.parametrize(("residual", "name"), [(True, "resnet"), (False, "orig")])
def test_other_architectures_have_one_rgb(residual: bool, name: str) -> None:
    tensors = random_stylegan2(narrow_sizes(16, residual=residual), only_last_rgb=True)
    layout = read_layout(tensors)
    assert layout.architecture == name
    assert [s for s in layout.styles if "torgb" in s] == ["b16.torgb"]
    assert (layout.styles["b16.torgb"], layout.num_ws) == (5, 6)
    check_tensors(tensors, layout, Stylegan2Options())


@pytest.mark.parametrize("resolution", [4, 8, 32, 128])
def test_num_ws_follows_the_resolution(resolution: int) -> None:
    layout = read_layout(random_stylegan2(narrow_sizes(resolution)))
    assert layout.num_ws == 2 * resolution.bit_length() - 4
    assert layout.resolutions[-1] == resolution


def with_block(source: str, target: str) -> dict[str, Tensor]:
    return {name.replace(source, target): tensor for name, tensor in TENSORS.items()}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, r"expected blocks of 4, 8, 16, \.\.\. pixels, found \[\]"),
        (with_block("b16", "b32"), r"found \[4, 8, 32\]"),
        (with_block("b4", "b2"), r"found \[2, 8, 16\]"),
        (with_block("b16", "b17"), r"found \[4, 8, 17\]"),
        (
            {n: t for n, t in TENSORS.items() if n != "synthesis.resample_filter"},
            r"missing tensor 'synthesis\.resample_filter'",
        ),
        (
            {**TENSORS, "synthesis.resample_filter": torch.ones(8)},
            r"resample_filter: expected 2 axes",
        ),
        (
            {**TENSORS, "synthesis.b8.conv1.weight": torch.ones(8)},
            r"b8\.conv1\.weight: expected 4 axes",
        ),
        (
            {f"synthesis.b{4 << i}.conv1.weight": torch.zeros(1, 1, 3, 3) for i in range(20)},
            "px is more than 4096",
        ),
    ],
)
def test_blocks_that_are_no_stylegan2_are_refused(tensors: dict[str, Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_layout(tensors)


def test_an_absurd_block_number_is_refused() -> None:
    tensors = {**TENSORS, f"synthesis.b{'9' * 5000}.x": torch.zeros(1)}
    with pytest.raises(CheckpointError):
        check_tensors(tensors, read_layout(tensors), Stylegan2Options())
