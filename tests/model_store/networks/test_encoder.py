"""The encoder network: sizes, features, tensors."""

import pytest
import torch

from model_store import CheckpointError, Encoder, EncoderSizes, channels_for

SIZES = EncoderSizes((3, 5), channels_for(16))


def test_it_reads_any_size_and_gives_latents() -> None:
    encoder = Encoder(SIZES)
    for side in (8, 16, 40):
        assert encoder(torch.zeros(2, 3, side, side)).shape == (2, 3, 5)
    assert encoder.features(torch.zeros(1, 3, 16, 16))[-1].shape[2:] == (4, 4)


@pytest.mark.parametrize("resolution", [16, 32, 64, 128, 256, 1024])
def test_its_input_is_the_resolution_up_to_128(resolution: int) -> None:
    assert EncoderSizes((1, 1), channels_for(resolution)).side == min(resolution, 128)


def test_tensors_make_the_same_encoder() -> None:
    encoder = Encoder(SIZES)
    encoder.mean, encoder.spread = torch.randn(3, 5), torch.rand(3, 5)
    again = Encoder.from_tensors(encoder.state_dict())
    images = torch.randn(1, 3, 16, 16)
    assert again.sizes == SIZES
    assert torch.equal(again(images), encoder(images))


def test_tensors_that_do_not_fit_are_refused() -> None:
    tensors = Encoder(SIZES).state_dict()
    with pytest.raises(CheckpointError, match="not the tensors"):
        Encoder.from_tensors({})
    del tensors["out.bias"]
    with pytest.raises(CheckpointError, match=r"out\.bias"):
        Encoder.from_tensors(tensors)
