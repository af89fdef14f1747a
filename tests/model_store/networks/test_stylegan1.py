"""model_store/networks/stylegan1.py: beyond the arithmetic, which the reader's tests compare."""

from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from editing import ShapeError
from model_store import CheckpointError, Stylegan1, read_checkpoint
from model_store.networks.stylegan1 import stylegan1_facts, stylegan1_from_state
from tests.model_store.readers.parity import relative_error
from tests.model_store.readers.plain_stylegan1 import plain_synthesis1, random_variables
from tests.model_store.readers.written_tensorflow import write_tensorflow

VARIABLES = random_variables({4: 6, 8: 5, 16: 4, 32: 3})
LATENTS = torch.randn(3, 8, 12, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def generator(tmp_path: Path) -> Stylegan1:
    return cast(Stylegan1, read_checkpoint(write_tensorflow(tmp_path / "n.pkl", VARIABLES, {})))


def test_images_without_gradients_are_the_same_twice(generator: Stylegan1) -> None:
    expected = plain_synthesis1(VARIABLES, LATENTS)
    with torch.no_grad():
        for _ in range(2):
            assert relative_error(generator.synthesis(LATENTS), expected) <= 1e-4


def test_batches_equal_single_images(generator: Stylegan1) -> None:
    together = generator.synthesis(LATENTS)
    assert together.shape == (3, 3, 32, 32)
    for n in range(3):
        single = generator.synthesis(LATENTS[n : n + 1])
        torch.testing.assert_close(together[n : n + 1], single, atol=1e-4, rtol=1e-4)


def test_style_space_can_be_read_and_written(generator: Stylegan1) -> None:
    styles = generator.styles(LATENTS)
    names = [f"b{r}.conv{i}" for r in (4, 8, 16, 32) for i in (0, 1)]
    assert list(styles) == names
    assert [style.shape[1] for style in styles.values()] == [12, 12, 10, 10, 8, 8, 6, 6]
    images = generator.synthesis(LATENTS)
    torch.testing.assert_close(generator.synthesis_from_styles(styles), images, atol=0, rtol=0)
    for name, style in styles.items():
        again = generator.synthesis_from_styles({**styles, name: style + 1})
        assert (again - images).abs().max() > 1e-3, name


def test_noise_can_be_left_out(generator: Stylegan1) -> None:
    images = generator.synthesis(LATENTS, "none")
    assert relative_error(images, plain_synthesis1(VARIABLES, LATENTS, noise=False)) <= 1e-4
    assert (images - generator.synthesis(LATENTS)).abs().max() > 1e-2


def test_gradients_are_those_of_the_plain_path(generator: Stylegan1) -> None:
    latents = LATENTS.clone().requires_grad_()
    (ours,) = torch.autograd.grad(generator.synthesis(latents).square().sum(), latents)
    (plain,) = torch.autograd.grad(plain_synthesis1(VARIABLES, latents).square().sum(), latents)
    assert relative_error(ours, plain) <= 1e-3


def test_state_round_trip_and_dtype(generator: Stylegan1) -> None:
    again = stylegan1_from_state(generator.card, generator.state())
    images = generator.synthesis(LATENTS)
    torch.testing.assert_close(again.synthesis(LATENTS), images, atol=0, rtol=0)
    half = generator.to("cpu", torch.bfloat16)
    found = half.synthesis(LATENTS)
    assert found.dtype == torch.float32
    error = ((found - images) / images.abs().max()).square().mean()
    assert float(10 * torch.log10(4 / error)) > 30
    assert {tensor.dtype for tensor in half.state().values()} == {torch.float32}
    assert torch.equal(half.mapping(torch.ones(1, 16)), generator.mapping(torch.ones(1, 16)))


def changed(state: dict[str, Tensor], name: str, tensor: Tensor | None) -> dict[str, Tensor]:
    kept = {key: value for key, value in state.items() if key != name}
    return kept if tensor is None else {**kept, name: tensor}


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("synthesis.b8.conv0.bias", None, r"missing tensor 'synthesis\.b8\.conv0\.bias'"),
        ("synthesis.b8.conv1.weight", None, r"missing tensor 'synthesis\.b8\.conv1\.weight'"),
        ("synthesis.b4.const", torch.zeros(4), r"b4\.const: expected 3 axes"),
        ("synthesis.x", torch.zeros(4), r"unknown tensor 'synthesis\.x'"),
        (
            "synthesis.b16.conv1.noise_strength",
            torch.zeros(()),
            r"noise_strength: expected shape \[4\], found \[\]",
        ),
        ("synthesis.torgb.weight", torch.zeros(1, 3, 1, 1), r"expected shape \[3, 3, 1, 1\]"),
        ("mapping.fc2.weight", torch.zeros(13, 12), r"expected shape \[13\], found \[12\]"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    generator: Stylegan1, name: str, tensor: Tensor | None, message: str
) -> None:
    state = changed(generator.state(), name, tensor)
    with pytest.raises(CheckpointError, match=message):
        stylegan1_from_state(generator.card, state)


def test_facts_and_latents(generator: Stylegan1) -> None:
    from model_store.networks.stylegan1 import Stylegan1Options

    facts = stylegan1_facts(generator.state(), Stylegan1Options())
    assert (facts.resolution, facts.num_ws, facts.z_dim, facts.w_dim, facts.c_dim) == (
        32,
        8,
        16,
        12,
        0,
    )
    for shape in ((1, 8, 11), (1, 7, 12), (8, 12)):
        with pytest.raises(ShapeError, match="latents"):
            generator.synthesis(torch.zeros(shape))
