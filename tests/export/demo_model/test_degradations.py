"""Every kind of damage does what its name says, and leaves its argument alone."""

import numpy as np
import pytest
import torch

from export.demo_model.degradations import add_noise, blur, compress, degrade, relight, shift


@pytest.fixture
def images() -> torch.Tensor:  # [4, 3, 16, 16], 0..255
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (4, 3, 16, 16)).astype(np.float32))


def test_blur_keeps_the_mean_of_a_flat_image_and_flattens_noise(images: torch.Tensor) -> None:
    flat = torch.full((1, 3, 16, 16), 100.0)
    torch.testing.assert_close(blur(flat, 1.0), flat)
    assert blur(images, 1.0).std() < 0.6 * images.std()


def test_shift_moves_whole_pixels_and_repeats_borders(images: torch.Tensor) -> None:
    moved = shift(images, down=2, right=-1)
    torch.testing.assert_close(moved[:, :, 2:, :-1], images[:, :, :-2, 1:])
    torch.testing.assert_close(moved[:, :, 0, :-1], images[:, :, 0, 1:])


def test_no_shift_is_no_change(images: torch.Tensor) -> None:
    torch.testing.assert_close(shift(images, 0, 0), images)


def test_noise_has_the_level_of_each_image() -> None:
    grey = torch.full((2, 3, 64, 64), 128.0)
    noisy = add_noise(grey, np.array([0, 10], np.float32), np.random.default_rng(0))
    torch.testing.assert_close(noisy[0], grey[0])
    assert float(noisy[1].std()) == pytest.approx(10, rel=0.05)


def test_compression_is_close_on_smooth_images() -> None:
    smooth = torch.linspace(0, 255, 16).expand(1, 3, 16, 16)
    assert (compress(smooth, 90) - smooth).abs().mean() < 3
    assert compress(smooth, 90).shape == smooth.shape


def test_relighting_is_per_image(images: torch.Tensor) -> None:
    grey = torch.full((4, 3, 8, 8), 128.0)
    levels = relight(grey, np.random.default_rng(0))[:, 0, 0, 0]
    assert len(set(levels.tolist())) == 4
    assert (levels - 128).abs().max() < 12


def test_degrading_depends_on_the_generator_and_changes_no_argument(images: torch.Tensor) -> None:
    before = images.clone()
    first, second = (degrade(images, np.random.default_rng(seed)) for seed in (1, 1))
    torch.testing.assert_close(first, second)
    assert torch.equal(images, before)
    assert first.min() >= 0
    assert first.max() <= 255
    assert not torch.equal(first, degrade(images, np.random.default_rng(2)))
