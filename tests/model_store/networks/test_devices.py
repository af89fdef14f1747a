"""Everything of a generator follows its device: torch's meta device refuses tensors of the CPU."""

import numpy as np
import pytest
import torch

from model_store import read_checkpoint, styled
from tests.doubles import make_generator
from tests.model_store.readers.parity import FIXTURES

FILES = ["rosinality.pt", "sg1tf.pkl", "sg2tf_f.pkl", "sg2ada_cond.pkl", "sg3_t.pkl", "sg3_r.pkl"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("file", FILES)
def test_a_stylegan_leaves_nothing_behind(file: str, dtype: torch.dtype) -> None:
    generator = read_checkpoint(FIXTURES / file).to("meta", dtype)
    card = generator.card
    labels = torch.empty(2, card.c_dim, device="meta") if card.c_dim else None
    with torch.inference_mode():
        latents = generator.mapping(torch.empty(2, card.z_dim, device="meta"), labels, 0.7, 2)
        images = generator.synthesis(latents)
        moved = styled(generator).synthesis_from_styles(styled(generator).styles(latents))
    for found in (images, moved):
        assert found.device.type == "meta"
        assert found.dtype == torch.float32
        assert found.shape == (2, 3, card.resolution, card.resolution)
    assert all(tensor.device.type == "meta" for tensor in generator.state().values())


def test_a_dcgan_leaves_nothing_behind() -> None:
    generator = make_generator().to("meta", torch.float16)
    latents = generator.mapping(torch.empty(2, generator.card.z_dim, device="meta"))
    assert generator.synthesis(latents).device.type == "meta"


@pytest.mark.gpu  # never run yet: there was no device
@pytest.mark.parametrize("file", FILES)
def test_cuda_computes_what_the_cpu_does(file: str) -> None:
    on_cpu = read_checkpoint(FIXTURES / file)
    card = on_cpu.card
    labels = torch.eye(card.c_dim)[:2] if card.c_dim else None
    z = torch.randn(2, card.z_dim, generator=torch.manual_seed(0))
    latents = on_cpu.mapping(z, labels, 0.7)
    expected = on_cpu.synthesis(latents)
    for dtype, least_decibels in ((torch.float32, 60), (torch.float16, 35)):
        on_gpu = on_cpu.to("cuda", dtype)
        found = on_gpu.synthesis(latents.to("cuda")).cpu()
        error = float((found - expected).square().mean())
        assert -10 * np.log10(error / 4) > least_decibels
