"""model_store/style_vectors.py: flat styles, and images of moved ones."""

import pytest
import torch
from torch import Tensor

from editing import ShapeError, UnsupportedMethodError
from model_store import (
    Generator,
    movable_channels,
    read_checkpoint,
    style_map,
    style_vectors,
    styled,
    synthesise_edited,
)
from tests.doubles import NUM_WS, make_generator, make_style_card, make_style_generator
from tests.model_store.readers.parity import FIXTURES

GENERATOR = make_style_generator(make_style_card())


def latents(count: int = 2) -> Tensor:
    return torch.randn(count, NUM_WS, 16, generator=torch.manual_seed(0))


def test_vectors_are_the_styles_of_all_layers_in_order() -> None:
    styles = GENERATOR.styles(latents())
    flat = style_vectors(GENERATOR, latents())
    torch.testing.assert_close(flat, torch.cat(list(styles.values()), dim=1))


def test_no_offset_is_the_plain_image() -> None:
    plain = GENERATOR.synthesis(latents())
    zeros = torch.zeros_like(style_vectors(GENERATOR, latents()))
    assert torch.equal(synthesise_edited(GENERATOR, latents(), None), plain)
    torch.testing.assert_close(synthesise_edited(GENERATOR, latents(), zeros), plain)


def test_the_offset_between_two_latents_turns_one_image_into_the_other() -> None:
    first, second = latents()[:1], latents()[1:]
    offset = style_vectors(GENERATOR, second) - style_vectors(GENERATOR, first)
    moved = synthesise_edited(GENERATOR, first, offset)
    torch.testing.assert_close(moved, GENERATOR.synthesis(second), atol=1e-5, rtol=1e-5)


def test_offsets_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="offsets"):
        synthesise_edited(GENERATOR, latents(), torch.zeros(2, 3))


def test_rgb_layers_may_not_move() -> None:
    movable = movable_channels(GENERATOR, latents(1))
    sizes = {name: style.shape[1] for name, style in GENERATOR.styles(latents(1)).items()}
    assert int(movable.sum()) == sum(n for name, n in sizes.items() if "torgb" not in name)
    last = sizes["b16.torgb"]
    assert not movable[-last:].any()
    assert movable[: sizes["b4.conv1"]].all()


@pytest.mark.parametrize(("file", "fixed"), [("sg1tf.pkl", 0), ("sg3_t.pkl", 2), ("sg3_r.pkl", 2)])
def test_other_stylegans_have_styles_too(file: str, fixed: int) -> None:
    generator = styled(read_checkpoint(FIXTURES / file))
    start = generator.mapping(torch.randn(1, generator.card.z_dim))
    styles = list(generator.styles(start).values())
    movable = movable_channels(generator, start)
    held = styles[0].shape[1] + styles[-1].shape[1] if fixed else 0  # input and ToRGB
    assert int((~movable).sum()) == held
    moved = synthesise_edited(generator, start, movable[None] * 0.5)
    assert not torch.equal(moved, generator.synthesis(start))


def test_a_dcgan_has_no_styles() -> None:
    generator: Generator = make_generator()
    with pytest.raises(UnsupportedMethodError, match="a dcgan has no style space"):
        synthesise_edited(generator, torch.zeros(1, 1, 16), torch.zeros(1, 4))


def test_the_style_map_gives_the_styles_of_any_latent_but_for_a_constant() -> None:
    generator = styled(make_style_generator(make_style_card()))
    latents = torch.randn(3, *generator.card.latent_shape)
    movable = movable_channels(generator, latents[:1])
    found = style_map(generator) @ (latents[0] - latents[1]).flatten()
    styles = style_vectors(generator, latents)[:, movable]
    torch.testing.assert_close(found, styles[0] - styles[1], atol=1e-4, rtol=1e-4)
