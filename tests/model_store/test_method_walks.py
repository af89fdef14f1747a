"""model_store/method_walks.py: one planned edit by each method, as the method itself walks."""

import pytest
import torch

from editing import Trajectory, class_probabilities, edited_point
from model_store import (
    EditKnobs,
    MethodName,
    ModelStoreError,
    Repertoire,
    StoredModel,
    load_repertoire,
    method_offers,
    plan_by_method,
    save_model,
    stored_methods,
    walk_by_method,
)
from tests.doubles import NUM_WS, make_card, make_generator

LATENT = torch.randn(NUM_WS, 16, generator=torch.manual_seed(3))


@pytest.fixture(scope="module")
def repertoire(tiny_lines: StoredModel) -> Repertoire:
    return load_repertoire(tiny_lines, torch.device("cpu"))


@pytest.mark.parametrize(
    "method",
    ["gradctrl-released", "gradctrl-paper", "interfacegan", "ganspace", "stylespace"],
)
def test_defaults_walk_as_the_stored_method(
    tiny_lines: StoredModel, repertoire: Repertoire, method: MethodName
) -> None:
    offers = method_offers(tiny_lines)
    edit = plan_by_method(tiny_lines.card, offers, method, "age", "old", EditKnobs(steps=4))
    walked = walk_by_method(repertoire, LATENT, edit)
    path = stored_methods(tiny_lines, [method])[method].path(LATENT[None], 1, torch.tensor([1]), 4)
    assert torch.equal(walked.latents, path.latents[0])
    assert (walked.styles is None) == (method != "stylespace")
    if path.styles is not None and walked.styles is not None:
        assert torch.equal(walked.styles, path.styles[0])
    found = walked.trajectory
    ranges = torch.tensor([edit.layers]).expand(5, 2)
    expected = class_probabilities(repertoire.heads, edited_point(walked.latents, ranges))
    torch.testing.assert_close(found.probabilities[0], expected)
    if method != "gradctrl-paper":
        assert found.steps_taken.tolist() == [4]
    assert found.masked_channels.tolist() == [0]
    assert found.kept_norm.tolist() == [1.0]
    assert not found.refused.any()


def test_masks_and_sizes_of_the_edit_are_used(
    tiny_lines: StoredModel, repertoire: Repertoire
) -> None:
    offers, card = method_offers(tiny_lines), tiny_lines.card
    knobs = EditKnobs(3, exclude=[("age", 4)], layers=(1, 3))
    edit = plan_by_method(card, offers, "gradctrl-released", "smile", "smiling", knobs)
    walked = walk_by_method(repertoire, LATENT, edit)
    assert walked.trajectory.masked_channels.tolist() == [4]
    assert float(walked.trajectory.kept_norm[0]) < 1
    assert (walked.latents[:, [0, 3, 4, 5]] == LATENT[[0, 3, 4, 5]]).all()
    knobs = EditKnobs(2, step_size=0.25, layers=(4, 5))
    edit = plan_by_method(card, offers, "interfacegan", "age", "young", knobs)
    moved = walk_by_method(repertoire, LATENT, edit).latents[2] - LATENT
    assert moved.nonzero().tolist() == [[4, 3]]
    assert float(moved[4, 3]) == pytest.approx(0.5, abs=1e-6)
    knobs = EditKnobs(2, step_size=0.5)
    edit = plan_by_method(card, offers, "stylespace", "age", "old", knobs)
    walked = walk_by_method(repertoire, LATENT, edit)
    assert walked.styles is not None
    vector = repertoire.directions["stylespace", "age"].vectors[1]
    torch.testing.assert_close(walked.styles, torch.tensor([[0.0], [0.5], [1.0]]) * vector)


def test_a_walk_that_stops_early_tells_of_the_steps_that_count(
    tiny_lines: StoredModel, repertoire: Repertoire
) -> None:
    offers, card = method_offers(tiny_lines), tiny_lines.card
    exclude = [("age", 4)]

    def walked(steps: int, stop: float | None = None) -> Trajectory:
        knobs = EditKnobs(steps, exclude=exclude, stop=stop)
        edit = plan_by_method(card, offers, "gradctrl-released", "smile", "smiling", knobs)
        return walk_by_method(repertoire, LATENT, edit).trajectory

    whole, short = walked(9), walked(3)
    assert whole.kept_norm < short.kept_norm  # what the later steps keep is not its business
    level = float(short.probabilities[0, 3, 0, 1]) - 1e-6
    stopped = walked(9, stop=level)
    assert stopped.steps_taken.tolist() == [3]
    assert torch.equal(stopped.kept_norm, short.kept_norm)
    assert torch.equal(stopped.masked_channels, short.masked_channels)


def test_a_model_without_heads_has_no_repertoire(bentoml_home: object) -> None:
    bare = save_model(make_generator(), make_card("tiny-headless", ()), {})
    with pytest.raises(ModelStoreError, match="has no attributes"):
        load_repertoire(bare, torch.device("cpu"))
