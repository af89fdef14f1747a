"""model_store/networks/stylegan2_initial.py: the paper's sizes and statistics."""

import pytest
import torch

from model_store.networks.mapping import MappingOptions
from model_store.networks.stylegan2_initial import Stylegan2Sizes, initial_tensors
from model_store.networks.stylegan2_layout import Stylegan2Options, check_tensors, read_layout
from tests.model_store.networks.random_stylegan2 import make_stylegan2, narrow_sizes


def test_config_f_has_the_channels_of_the_paper() -> None:
    assert Stylegan2Sizes.config_f(1024).channels == {
        4: 512,
        8: 512,
        16: 512,
        32: 512,
        64: 512,
        128: 256,
        256: 128,
        512: 64,
        1024: 32,
    }
    assert Stylegan2Sizes.config_f(256).channels[256] == 128
    sizes = Stylegan2Sizes.config_f(64)
    assert (sizes.z_dim, sizes.w_dim, sizes.c_dim, sizes.mapping_layers) == (512, 512, 0, 8)


@pytest.mark.parametrize("changes", [{}, {"residual": True}, {"c_dim": 3}, {"resolution": 64}])
def test_fresh_tensors_are_a_whole_network(changes: dict[str, object]) -> None:
    sizes = narrow_sizes(**changes)  # type: ignore[arg-type]
    tensors = initial_tensors(sizes, torch.Generator().manual_seed(0))
    check_tensors(tensors, read_layout(tensors), Stylegan2Options())
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_the_same_seed_gives_the_same_tensors() -> None:
    one, same, other = (
        initial_tensors(narrow_sizes(), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["synthesis.b4.const"], other["synthesis.b4.const"])


def test_signals_keep_their_size_through_the_network() -> None:
    sizes = Stylegan2Sizes({4: 64, 8: 64, 16: 64}, 64, 64)
    tensors = initial_tensors(sizes, torch.Generator().manual_seed(0))
    generator = make_stylegan2(tensors)
    w = generator.mapping(torch.randn(256, 64, generator=torch.Generator().manual_seed(1)))[:, 0]
    assert 0.5 < float(w.square().mean()) < 2
    images = generator.synthesis(w[:16, None].expand(-1, 6, -1))
    assert 0.2 < float(images.std()) < 10


def test_the_learning_rate_multiplier_is_divided_out() -> None:
    slow, fast = (
        initial_tensors(narrow_sizes(), torch.Generator().manual_seed(0), MappingOptions(lr))
        for lr in (0.01, 1.0)
    )
    name = "mapping.fc1.weight"
    torch.testing.assert_close(slow[name] * 0.01, fast[name])
