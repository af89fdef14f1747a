"""model_store/methods.py: which ways to edit a stored model has, and why not the others."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from editing import EditSettings, UnsupportedMethodError
from model_store import (
    Directions,
    ModelCard,
    StoredModel,
    available_pairs,
    card_settings,
    save_directions,
    save_model,
    stored_methods,
)
from tests.doubles import (
    NUM_WS,
    make_card,
    make_generator,
    make_heads,
    make_style_card,
    make_style_generator,
)

WALKS = ("gradctrl", "gradctrl-released", "gradctrl-paper")


@pytest.fixture(scope="module")
def directed(bentoml_home: Path) -> StoredModel:
    """A tiny StyleGAN2 with directions of two methods for age."""
    card = make_style_card("tiny-methods")
    stored = save_model(make_style_generator(card), card, make_heads())
    layers = torch.tensor([[0, NUM_WS], [2, 4]])
    classes = ("young", "old")
    vectors = torch.stack([-torch.eye(16)[3], torch.eye(16)[3]])
    styles = torch.zeros(2, 100)
    styles[1, 7] = 2.0
    return save_directions(
        stored,
        [
            Directions("ganspace", "age", classes, vectors, layers),
            Directions("stylespace", "age", classes, styles, layers),
        ],
    )


def test_pairs_are_walks_for_all_and_baselines_where_fitted(directed: StoredModel) -> None:
    walks = [(method, name) for method in WALKS for name in ("smile", "age", "hair")]
    fitted = [("ganspace", "age"), ("stylespace", "age")]
    assert available_pairs(directed) == walks + fitted


def test_every_available_method_walks(directed: StoredModel) -> None:
    latents = torch.randn(2, NUM_WS, 16, generator=torch.manual_seed(0))
    methods = stored_methods(directed)
    assert tuple(methods) == (*WALKS, "ganspace", "stylespace")
    for name, method in methods.items():
        assert method.name == name
        path = method.path(latents, 1, torch.tensor([1, 1]), 3)
        assert path.latents.shape == (2, 4, NUM_WS, 16)
        assert torch.isfinite(path.latents).all()
        assert not path.refused.any()
        assert (path.latents[:, 0] == latents).all()
    line = methods["ganspace"].path(latents, 1, torch.tensor([1, 0]), 2).latents
    size = card_settings(directed.card)[1].step_size
    assert line[0, -1, 2, 3] == latents[0, 2, 3] + 2 * size
    assert line[0, -1, 0, 3] == latents[0, 0, 3]  # its layers are 2:4
    styles = methods["stylespace"].path(latents, 1, torch.tensor([1, 0]), 2)
    assert styles.styles is not None
    assert styles.styles[0, -1, 7] == 4.0
    assert styles.refused.tolist() == [False, True]  # young has no direction


def test_settings_are_the_defaults_of_the_card(directed: StoredModel) -> None:
    smile, age, _ = card_settings(directed.card)
    assert (smile.top_k, smile.layers, smile.step_size) == ((0, 3, 0), (0, NUM_WS), 0.5)
    assert (smile.row_noise, age.row_noise) == (directed.card.attributes[0].latent_std, 0)
    assert age.top_k == (0, 0, 0)
    assert (list(smile.pulls), dict(age.pulls)) == ([1], {})  # of smiling alone


def test_edits_counter_the_side_effects_of_their_target(directed: StoredModel) -> None:
    latents = torch.randn(2, NUM_WS, 16, generator=torch.manual_seed(0))
    plain = [replace(one, pulls={}) for one in card_settings(directed.card)]
    walks = [
        stored_methods(directed, ("gradctrl",), settings)["gradctrl"]
        for settings in (card_settings, lambda card: plain)
    ]
    found, without = (one.path(latents, 0, torch.tensor([0, 1]), 3).latents for one in walks)
    same = torch.isclose(found, without, atol=1e-6).flatten(1).all(dim=1)
    assert same.tolist() == [True, False]


def test_other_settings_reach_walks_and_lines(directed: StoredModel) -> None:
    latents = torch.randn(2, NUM_WS, 16, generator=torch.manual_seed(0))

    def short(card: ModelCard) -> list[EditSettings]:
        return [replace(one, step_size=0.01) for one in card_settings(card)]

    methods = stored_methods(directed, ("gradctrl", "ganspace"), short)
    for method in methods.values():
        moved = method.path(latents, 1, torch.tensor([1, 1]), 1).latents
        step = torch.linalg.vector_norm(moved[:, 1, 2] - latents[:, 2], dim=1)
        torch.testing.assert_close(step, torch.full((2,), 0.01), atol=1e-5, rtol=0)


def test_a_missing_method_is_refused_with_the_way_out(
    directed: StoredModel, tiny: StoredModel
) -> None:
    with pytest.raises(UnsupportedMethodError, match="run: gradctrl directions tiny-methods"):
        stored_methods(directed, ["interfacegan"])
    with pytest.raises(UnsupportedMethodError, match="edits in z and has no style space"):
        stored_methods(tiny, ["stylespace"])
    with pytest.raises(UnsupportedMethodError, match="no method 'pca'; there are: gradctrl, "):
        stored_methods(tiny, ["pca"])
    with pytest.raises(UnsupportedMethodError, match="attribute 0 has no direction"):
        stored_methods(directed)["ganspace"].path(
            torch.zeros(1, NUM_WS, 16), 0, torch.tensor([1]), 1
        )


def test_a_model_without_attributes_has_no_methods(bentoml_home: Path) -> None:
    bare = save_model(make_generator(), make_card("tiny-bare", ()), {})
    assert available_pairs(bare) == []
    assert stored_methods(bare) == {}
    with pytest.raises(UnsupportedMethodError, match="has no attributes"):
        stored_methods(bare, ["gradctrl"])
