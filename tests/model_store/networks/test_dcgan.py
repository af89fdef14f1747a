"""model_store/networks/dcgan.py."""

import pytest
import torch

from editing import ShapeError
from model_store import to_pixels, z_from_seed
from model_store.networks import dcgan_from_state
from tests.doubles import Z_DIM, make_generator


def test_truncation_pulls_towards_the_mean_of_z() -> None:
    z = torch.randn(3, Z_DIM)
    torch.testing.assert_close(make_generator().mapping(z, psi=0.5), z[:, None] / 2)


def test_batches_equal_single_images() -> None:
    generator = make_generator()
    latents = torch.randn(5, 1, Z_DIM)
    together = generator.synthesis(latents)
    assert together.shape == (5, 3, 16, 16)
    for n in range(5):
        torch.testing.assert_close(together[n : n + 1], generator.synthesis(latents[n : n + 1]))


def test_state_round_trip_and_dtype() -> None:
    generator = make_generator()
    again = dcgan_from_state(generator.card, generator.state())
    latents = torch.randn(2, 1, Z_DIM)
    torch.testing.assert_close(again.synthesis(latents), generator.synthesis(latents))
    half = generator.to("cpu", torch.bfloat16).synthesis(latents)
    assert half.dtype == torch.float32
    assert (half - generator.synthesis(latents)).abs().max() < 0.1


def test_what_a_dcgan_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no class labels"):
        make_generator().mapping(torch.zeros(1, Z_DIM), cutoff=2)
    with pytest.raises(ShapeError, match="latents"):
        make_generator().synthesis(torch.zeros(1, 2, Z_DIM))


def test_seeds_are_numpy_s_legacy_normals() -> None:
    # First values of numpy.random.RandomState(0).randn: a published, stable stream.
    assert z_from_seed(0, 3).tolist() == pytest.approx([1.7640524, 0.4001572, 0.978738])


def test_pixels_are_rounded_and_clamped() -> None:
    images = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0])[None, None, None].expand(1, 3, 1, 5)
    assert to_pixels(images)[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]
