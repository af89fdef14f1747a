"""export/baselines/ganspace.py: a planted component, its sign and its layers are chosen."""

import numpy as np
import torch
from torch import Tensor

from editing import log_odds
from editing.baselines import principal_components
from export.baselines.choosing import make_validation
from export.baselines.ganspace import (
    bank_components,
    choose_components,
    component_candidates,
    first_layer,
    layer_ranges,
)
from tests.doubles import make_generator, make_style_card, make_style_generator

DEVIATIONS = np.array([0.2, 3.0, 2.0, 1.0, 0.5, 0.4], dtype=np.float32)
POINTS = np.random.default_rng(0).standard_normal((3000, 6)).astype(np.float32) * DEVIATIONS
BANK = np.repeat(POINTS[:, None], 9, axis=1)  # [N, L, C]


def margins(latents: Tensor, offsets: Tensor | None) -> Tensor:
    """Attribute 0: channel 2 of layers 3..5. Attribute 1: channel 2 of layers 0..2."""
    assert offsets is None
    values = torch.stack([latents[:, 3:6, 2].mean(dim=1), latents[:, :3, 2].mean(dim=1)], dim=1)
    return log_odds(torch.stack([torch.zeros_like(values), values], dim=2))


def test_component_sign_and_layers_of_a_planted_attribute() -> None:
    found = principal_components(torch.from_numpy(POINTS), 4)
    validation = make_validation(torch.from_numpy(BANK[:30]), margins)
    pairs = [(0, 0), (0, 1)]
    chosen = choose_components(validation, found, pairs)
    for pair, sign in zip(pairs, (-1, 1), strict=True):
        candidate = chosen[pair].candidate
        assert candidate.vector.abs().argmax() == 2
        assert float(candidate.vector[2]) * sign > 0.9
        assert candidate.layers == (3, 6)
        assert chosen[pair].accuracy == 1.0


def test_without_eyes_for_layers_all_are_edited() -> None:
    found = principal_components(torch.from_numpy(POINTS), 4)
    validation = make_validation(torch.from_numpy(BANK[:30]), margins)
    chosen = choose_components(validation, found, [(0, 1)], has_layers=False)
    assert chosen[0, 1].candidate.layers == (0, 9)


def test_candidates_are_both_signs_at_multiples_of_the_deviation() -> None:
    found = principal_components(torch.from_numpy(POINTS), 2)
    candidates = component_candidates(found, (0, 9))
    assert [one.name[:12] for one in candidates] == [
        "+component 0",
        "-component 0",
        "+component 1",
        "-component 1",
    ]
    assert torch.equal(candidates[0].vector, -candidates[1].vector)
    assert candidates[0].lengths[1] == float(found.deviations[0])


def test_layer_ranges_are_thirds_and_their_unions() -> None:
    assert layer_ranges(9) == [(0, 9), (0, 3), (0, 6), (3, 6), (3, 9), (6, 9)]
    assert layer_ranges(1) == [(0, 1)]


def test_w_components_ignore_the_generator_and_z_ones_come_from_its_first_layer() -> None:
    style = make_style_generator(make_style_card())
    of_w = bank_components(style, BANK, 3)
    expected = principal_components(torch.from_numpy(BANK.mean(axis=1)), 3)
    assert torch.equal(of_w.components, expected.components)
    generator = make_generator()
    z = np.random.default_rng(1).standard_normal((500, 1, 16)).astype(np.float32)
    of_z = bank_components(generator, z, 3)
    assert of_z.components.shape == (3, 16)
    torch.testing.assert_close(torch.linalg.vector_norm(of_z.components, dim=1), torch.ones(3))
    features = first_layer(generator, torch.from_numpy(z[:, 0]))
    assert features.shape == (500, 8 * 16)
    spread = {}
    random = torch.nn.functional.normalize(torch.randn(1, 16), dim=1)
    for name, direction in (("component", of_z.components[:1]), ("random", random)):
        moved = first_layer(generator, torch.from_numpy(z[:, 0]) + direction)
        spread[name] = float((moved - features).square().sum(dim=1).mean())
    assert spread["component"] > spread["random"]
