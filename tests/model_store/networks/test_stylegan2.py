"""model_store/networks/stylegan2.py: images and gradients are those of the plain path."""

from typing import Any

import pytest
import torch
from torch import Tensor

from editing import ShapeError
from model_store import CheckpointError, Stylegan2
from model_store.networks.stylegan2 import stylegan2_facts, stylegan2_from_state
from model_store.networks.stylegan2_initial import Stylegan2Sizes, initial_tensors
from model_store.networks.stylegan2_layout import Stylegan2Options
from model_store.networks.stylegan2_plain import plain_synthesis
from tests.model_store.networks.random_stylegan2 import (
    card_of,
    make_stylegan2,
    narrow_sizes,
    random_stylegan2,
)
from tests.model_store.readers.parity import relative_error

TOLERANCE = 1e-4
TENSORS = random_stylegan2(narrow_sizes())
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "skip": ({}, {}),
    "resnet": ({"residual": True}, {}),
    "orig": ({}, {"only_last_rgb": True}),
    "no noise": ({}, {"use_noise": False}),
    "odd filter": ({}, {"taps": (1.0, 2.0, 0.5)}),
    "resnet, asymmetric filter": ({"residual": True}, {"taps": (1.0, 3.0, 2.0, 0.5)}),
    "long filter": ({}, {"taps": (1.0, 2.0, 4.0, 4.0, 2.0, 1.0)}),
    "4 px": ({"resolution": 4}, {}),
    "64 px": ({"resolution": 64}, {}),
}


def latents_of(tensors: dict[str, Tensor], samples: int) -> Tensor:
    draw = torch.Generator().manual_seed(samples)
    return torch.randn(samples, card_of(tensors).latent_shape[0], 16, generator=draw)


def tensors_of(variant: str) -> dict[str, Tensor]:
    sizes, changes = VARIANTS[variant]
    return random_stylegan2(narrow_sizes(**sizes), **changes)


@pytest.mark.parametrize("with_gradients", [True, False])
@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("conv_clamp", [None, 0.8])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_fast_path_equals_the_plain_one(
    variant: str, conv_clamp: float | None, samples: int, with_gradients: bool
) -> None:
    tensors = tensors_of(variant)
    kept = {name: tensor.clone() for name, tensor in tensors.items()}
    latents = latents_of(tensors, samples)
    generator = make_stylegan2(tensors, conv_clamp)
    for noise_mode in ("const", "none", "const"):  # again: nothing of the weights was overwritten
        expected = plain_synthesis(tensors, latents, noise_mode, conv_clamp)
        with torch.set_grad_enabled(with_gradients):
            images = generator.synthesis(latents, noise_mode)
        assert images.dtype == torch.float32
        assert relative_error(images, expected) <= TOLERANCE
    assert all(torch.equal(tensors[name], tensor) for name, tensor in kept.items())
    assert torch.equal(latents, latents_of(tensors, samples))


def test_a_single_channel_is_not_overwritten_either() -> None:
    tensors = random_stylegan2(Stylegan2Sizes({4: 1, 8: 1}, 3, 2, mapping_layers=1))
    generator = make_stylegan2(tensors)
    latents = torch.randn(1, 4, 2)
    with torch.no_grad():
        first, second = generator.synthesis(latents), generator.synthesis(latents)
    assert torch.equal(first, second)
    assert relative_error(first, plain_synthesis(tensors, latents)) <= TOLERANCE


def test_batches_equal_single_images() -> None:
    generator, latents = make_stylegan2(TENSORS), latents_of(TENSORS, 5)
    together = generator.synthesis(latents)
    for n in range(5):
        torch.testing.assert_close(
            together[n : n + 1], generator.synthesis(latents[n : n + 1]), atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize("variant", ["skip", "resnet", "orig"])
def test_gradients_are_those_of_the_plain_path(variant: str) -> None:
    tensors = {name: t.double().requires_grad_() for name, t in tensors_of(variant).items()}
    latents = latents_of(tensors, 2).double().requires_grad_()
    learned = {n: t for n, t in tensors.items() if "mapping" not in n and "filter" not in n}
    inputs = [latents, *learned.values()]
    plain = plain_synthesis(tensors, latents).square().mean()
    single = {name: tensor.float() for name, tensor in tensors.items()}
    fast = make_stylegan2(single).synthesis(latents.float()).square().mean()
    for name, one, other in zip(
        ["latents", *learned],
        torch.autograd.grad(fast, inputs),
        torch.autograd.grad(plain, inputs),
        strict=True,
    ):
        assert relative_error(one, other) <= 1e-3, name


@pytest.mark.parametrize("variant", ["skip", "resnet"])
def test_gradients_can_be_differentiated_again(variant: str) -> None:
    """Path length regularisation (Karras et al. 2020, Eq. 4) needs second derivatives."""
    tensors = {name: t.clone().requires_grad_() for name, t in tensors_of(variant).items()}
    latents = latents_of(tensors, 2).requires_grad_()
    weight = tensors["synthesis.b8.conv0.weight"]

    def penalty(images: Tensor) -> Tensor:
        (jacobian,) = torch.autograd.grad(images.sum(), latents, create_graph=True)
        (second,) = torch.autograd.grad(jacobian.square().sum(), weight)
        return second

    found = penalty(make_stylegan2(tensors).synthesis(latents))
    assert relative_error(found, penalty(plain_synthesis(tensors, latents))) <= 1e-3


def test_training_reaches_the_mapping_too() -> None:
    tensors = {name: t.clone().requires_grad_() for name, t in TENSORS.items()}
    generator = make_stylegan2(tensors)
    z = torch.randn(2, 20, generator=torch.Generator().manual_seed(1))
    generator.synthesis(generator.mapping(z)).square().mean().backward()
    for name, tensor in tensors.items():
        if name not in ("mapping.w_avg", "synthesis.resample_filter"):
            assert tensor.grad is not None, name
            assert bool((tensor.grad != 0).any()), name


def test_style_space_can_be_read_and_written() -> None:
    generator, latents = make_stylegan2(TENSORS), latents_of(TENSORS, 2)
    styles = generator.styles(latents)
    assert list(styles) == list(generator.layout.styles)
    assert {name: style.shape[1] for name, style in styles.items()} == {
        name: TENSORS[f"synthesis.{name}.affine.weight"].shape[0] for name in styles
    }
    images = generator.synthesis(latents)
    torch.testing.assert_close(generator.synthesis_from_styles(styles), images, atol=0, rtol=0)
    for name, style in styles.items():
        changed = {**styles, name: style + torch.eye(style.shape[1])[0] * 3}
        again = generator.synthesis_from_styles(changed)
        assert (again - images).abs().max() > 1e-3, name
    torch.testing.assert_close(generator.synthesis_from_styles(styles), images, atol=0, rtol=0)


def test_layers_of_w_plus_reach_their_own_resolutions() -> None:
    generator, latents = make_stylegan2(TENSORS), latents_of(TENSORS, 1)
    styles = generator.styles(latents)
    changed = latents.clone()
    changed[:, 3] += 1
    moved = {n for n, s in generator.styles(changed).items() if not torch.equal(s, styles[n])}
    assert moved == {"b8.torgb", "b16.conv0"}


def test_bfloat16_is_close() -> None:
    # Weights as trained ones are: the images of random ones are not within -1..1.
    sizes = Stylegan2Sizes({4: 32, 8: 32, 16: 24, 32: 16}, 32, 32, mapping_layers=2)
    tensors = initial_tensors(sizes, torch.Generator().manual_seed(0))
    generator = make_stylegan2(tensors)
    latents = generator.mapping(torch.randn(4, 32, generator=torch.Generator().manual_seed(1)))
    exact = generator.synthesis(latents)
    half = generator.to("cpu", torch.bfloat16).synthesis(latents)
    assert half.dtype == torch.float32
    scale = exact.abs().max()
    error = ((half - exact) / scale).square().mean()
    assert float(10 * torch.log10(4 / error)) > 35


def test_state_round_trip() -> None:
    options = Stylegan2Options(conv_clamp=0.8)
    card = card_of(TENSORS).model_copy(update={"network": {"conv_clamp": 0.8}})
    generator = Stylegan2(card, TENSORS, options)
    again = stylegan2_from_state(card, generator.state())
    latents = latents_of(TENSORS, 2)
    torch.testing.assert_close(again.synthesis(latents), generator.synthesis(latents))
    assert again.card == card
    moved = generator.to("cpu", torch.float64)
    assert {tensor.dtype for tensor in moved.state().values()} == {torch.float32}
    assert relative_error(moved.synthesis(latents), generator.synthesis(latents)) <= TOLERANCE
    facts = stylegan2_facts(TENSORS, options)
    assert (facts.resolution, facts.z_dim, facts.w_dim, facts.num_ws) == (32, 20, 16, 8)


def without(name: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in TENSORS.items() if key != name}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (without("synthesis.b16.torgb.bias"), r"missing tensor 'synthesis\.b16\.torgb\.bias'"),
        (without("mapping.w_avg"), r"missing tensor 'mapping\.w_avg'"),
        ({**TENSORS, "synthesis.b16.x": torch.zeros(1)}, r"unknown tensor 'synthesis\.b16\.x'"),
        ({**TENSORS, "mapping.x": torch.zeros(1)}, r"unknown tensor 'mapping\.x'"),
        (
            {**TENSORS, "synthesis.b8.conv1.noise_const": torch.zeros(4, 4)},
            r"b8\.conv1\.noise_const: expected shape \[8, 8\], found \[4, 4\]",
        ),
        (
            {**TENSORS, "synthesis.b4.conv1.affine.weight": torch.zeros(12, 3)},
            r"b4\.conv1\.affine\.weight: expected 16 columns as the mapping's w, found 3",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(tensors: dict[str, Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        Stylegan2(card_of(TENSORS), tensors)


def test_latents_that_do_not_fit_are_refused() -> None:
    generator = make_stylegan2(TENSORS)
    for shape in ((1, 8, 15), (1, 7, 16), (8, 16)):
        with pytest.raises(ShapeError, match="latents"):
            generator.synthesis(torch.zeros(shape))
