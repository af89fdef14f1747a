"""model_store/networks/stylegan3.py: beyond the arithmetic, which the reader's tests compare."""

import math
from typing import cast

import pytest
import torch
from torch import Tensor

from editing import ShapeError
from model_store import CheckpointError, Stylegan3, read_checkpoint
from model_store.networks.stylegan3 import stylegan3_from_state
from tests.model_store.readers.parity import FIXTURES, relative_error

LATENTS = torch.randn(3, 16, 64, generator=torch.Generator().manual_seed(2))


@pytest.fixture(params=["sg3_t.pkl", "sg3_r.pkl"], scope="module")
def generator(request: pytest.FixtureRequest) -> Stylegan3:
    return cast(Stylegan3, read_checkpoint(FIXTURES / request.param))


def test_batches_equal_single_images_with_and_without_gradients(generator: Stylegan3) -> None:
    together = generator.synthesis(LATENTS)
    assert together.shape == (3, 3, 32, 32)
    with torch.no_grad():
        for n in range(3):
            for _ in range(2):
                single = generator.synthesis(LATENTS[n : n + 1])
                torch.testing.assert_close(together[n : n + 1], single, atol=1e-4, rtol=1e-3)


def test_there_is_no_noise(generator: Stylegan3) -> None:
    assert torch.equal(generator.synthesis(LATENTS, "none"), generator.synthesis(LATENTS))


def test_style_space_can_be_read_and_written(generator: Stylegan3) -> None:
    styles = generator.styles(LATENTS)
    assert next(iter(styles)) == "input"
    assert styles["input"].shape == (3, 4)
    assert len(styles) == generator.card.num_ws == 16
    images = generator.synthesis(LATENTS)
    torch.testing.assert_close(generator.synthesis_from_styles(styles), images, atol=0, rtol=0)
    for name, style in styles.items():
        again = generator.synthesis_from_styles({**styles, name: style + torch.eye(4)[1, 0] + 0.5})
        assert (again - images).abs().max() > 1e-4, name


def test_the_length_of_the_rotation_does_not_matter(generator: Stylegan3) -> None:
    styles = generator.styles(LATENTS)
    turned = {**styles, "input": styles["input"] * 3}
    images = generator.synthesis(LATENTS)
    torch.testing.assert_close(
        generator.synthesis_from_styles(turned), images, atol=1e-4, rtol=1e-3
    )


def test_a_transform_of_nothing_changes_nothing(generator: Stylegan3) -> None:
    images = generator.synthesis(LATENTS, transform=torch.eye(3))
    assert relative_error(images, generator.synthesis(LATENTS)) <= 1e-5
    angle = math.pi / 2
    quarter = torch.tensor(
        [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]]
    )
    moved = generator.synthesis(LATENTS, transform=quarter)
    assert (moved - images).abs().max() > 0.01


def test_a_quarter_turn_of_config_r_turns_the_image() -> None:
    generator = cast(Stylegan3, read_checkpoint(FIXTURES / "sg3_r.pkl"))
    quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    images = generator.synthesis(LATENTS)
    # The stored affine of the input is trained: a still one shows the turn alone.
    styles = generator.styles(LATENTS)
    styles["input"] = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(3, -1)
    still = generator.synthesis_from_styles(styles)
    turned = generator.synthesis_from_styles(styles, transform=quarter)
    errors = [
        float((torch.rot90(turned, k, (2, 3)) - still)[..., 4:-4, 4:-4].abs().mean())
        for k in range(4)
    ]
    assert min(errors[1], errors[3]) < 0.05 * errors[0]
    assert images.shape == turned.shape


def test_gradients_reach_latents(generator: Stylegan3) -> None:
    latents = LATENTS.clone().requires_grad_()
    (found,) = torch.autograd.grad(generator.synthesis(latents).square().sum(), latents)
    assert torch.isfinite(found).all()
    assert (found.abs().amax(dim=(0, 2)) > 0).all()


def test_state_round_trip_and_dtype(generator: Stylegan3) -> None:
    again = stylegan3_from_state(generator.card, generator.state())
    images = generator.synthesis(LATENTS)
    torch.testing.assert_close(again.synthesis(LATENTS), images, atol=0, rtol=0)
    half = generator.to("cpu", torch.bfloat16)
    found = half.synthesis(LATENTS)
    assert found.dtype == torch.float32
    error = ((found - images) / images.abs().max()).square().mean()
    assert float(10 * torch.log10(4 / error)) > 30
    assert {tensor.dtype for tensor in half.state().values()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("synthesis.input.freqs", None, r"missing tensor 'synthesis\.input\.freqs'"),
        ("synthesis.{0}.magnitude_ema", None, r"missing tensor 'synthesis\.L0.*magnitude_ema'"),
        ("synthesis.{0}.x", torch.zeros(1), r"unknown tensor 'synthesis\.L0.*\.x'"),
        ("synthesis.{0}.bias", torch.zeros(1), r"bias: expected shape"),
        ("synthesis.{0}.weight", torch.zeros(3, 3, 5, 5), "a kernel of 5 pixels"),
        ("synthesis.{14}.weight", torch.zeros(1, 8, 1, 1), "gives 1 channels instead of 3"),
        ("synthesis.{0}.up_filter", torch.zeros(3, 4), "up_filter: expected shape"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    generator: Stylegan3, name: str, tensor: Tensor | None, message: str
) -> None:
    layers = [layer["name"] for layer in generator.card.network["layers"]]
    state = generator.state()
    name = name.format(*layers)
    if tensor is None:
        del state[name]
    else:
        state[name] = tensor
    with pytest.raises(CheckpointError, match=message):
        stylegan3_from_state(generator.card, state)


def test_latents_that_do_not_fit_are_refused(generator: Stylegan3) -> None:
    for shape in ((1, 16, 63), (1, 15, 64), (16, 64)):
        with pytest.raises(ShapeError, match="latents"):
            generator.synthesis(torch.zeros(shape))
