"""service/rendering.py: dtypes of the synthesis, chunks, the card's truncation cutoff."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from model_store import (
    Starts,
    StoredModel,
    class_labels,
    stored_directions,
    to_pixels,
    z_of_seeds,
)
from service.rendering import LoadedGenerator, Points, latents_of, synthesise
from service.transfers import DirectTransfers
from tests.doubles import CUTOFF, LateTransfers

CPU = torch.device("cpu")


def loaded(model: StoredModel, dtype: torch.dtype = torch.float32) -> LoadedGenerator:
    return LoadedGenerator(model.generator().to(CPU, dtype), CPU)


def draw(generator: LoadedGenerator, pieces: Sequence[Points], batch_size: int) -> list[np.ndarray]:
    return synthesise(generator, pieces, batch_size, DirectTransfers())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_half_precision_synthesis_draws_the_same_images(
    tiny_style: StoredModel, dtype: torch.dtype
) -> None:
    starts = Starts(z=z_of_seeds(tiny_style.card, range(6)), truncation=0.7)
    full, half = loaded(tiny_style), loaded(tiny_style, dtype)
    latents = latents_of(half, starts)
    assert latents.dtype == np.float32
    np.testing.assert_array_equal(latents, latents_of(full, starts))
    points = [Points(latents)]
    (sharp,), (coarse,) = draw(full, points, 4), draw(half, points, 4)
    difference = np.abs(sharp.astype(int) - coarse.astype(int))
    assert difference.max() > 0
    assert difference.mean() < 2  # of 255


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_an_image_does_not_depend_on_its_batch(tiny_style: StoredModel, batch_size: int) -> None:
    generator = loaded(tiny_style)
    latents = latents_of(generator, Starts(z=z_of_seeds(tiny_style.card, range(9))))
    (together,) = draw(generator, [Points(latents)], batch_size)
    pieces = [Points(latents[6:]), Points(latents[:1]), Points(latents[1:6])]
    apart = draw(generator, pieces, batch_size)
    assert [len(part) for part in apart] == [3, 1, 5]
    np.testing.assert_array_equal(together, np.concatenate([apart[1], apart[2], apart[0]]))
    plain = to_pixels(generator.generator.synthesis(torch.from_numpy(latents)))
    assert np.abs(together.astype(int) - plain.astype(int)).max() <= 1


def test_all_batches_are_queued_before_pixels_are_awaited(tiny_style: StoredModel) -> None:
    generator, late = loaded(tiny_style), LateTransfers()
    latents = latents_of(generator, Starts(z=z_of_seeds(tiny_style.card, range(5))))
    (found,) = synthesise(generator, [Points(latents)], 2, late)
    np.testing.assert_array_equal(found, draw(generator, [Points(latents)], 2)[0])
    assert late.log == [*["send", "fetch"] * 3, *["arrive"] * 3]


def test_seeds_are_mapped_with_the_cutoff_of_the_card(tiny_cond: StoredModel) -> None:
    z = z_of_seeds(tiny_cond.card, [3, 4])
    labels = class_labels(tiny_cond.card, 2)
    found = latents_of(loaded(tiny_cond), Starts(z=z, labels=labels, truncation=0.5))
    one_hot = torch.tensor([[0.0, 0.0, 1.0]] * 2)
    expected = tiny_cond.generator().mapping(torch.tensor(z), one_hot, 0.5, CUTOFF).numpy()
    np.testing.assert_array_equal(found, expected)
    assert (found[:, 0] == found[:, CUTOFF - 1]).all()
    assert not np.allclose(found[:, 0], found[:, CUTOFF])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_offsets_of_styles_move_the_images(tiny_lines: StoredModel, dtype: torch.dtype) -> None:
    generator = loaded(tiny_lines, dtype)
    latents = latents_of(generator, Starts(z=z_of_seeds(tiny_lines.card, range(5))))
    found = next(one for one in stored_directions(tiny_lines) if one.key == "stylespace.age")
    offsets = 6 * found.vectors[[0, 1, 0, 1, 1]].numpy()
    points = Points(latents, offsets)
    (together,) = draw(generator, [points], 4)
    pieces = [piece for half in points.split(3) for piece in half.split(2)]
    assert [len(piece) for piece in pieces] == [2, 1, 2]
    np.testing.assert_array_equal(np.concatenate(draw(generator, pieces, 4)), together)
    (plain,) = draw(generator, [Points(latents)], 4)
    moved = (together != plain).any(axis=(1, 2, 3))
    assert moved.tolist() == [False, True, False, True, True]
