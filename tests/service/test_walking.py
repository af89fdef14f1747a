"""service/walking.py: requests walked together answer as they would alone."""

from dataclasses import replace

import numpy as np
import torch

from editing import NEVER_STOP
from model_store import (
    EditKnobs,
    MethodName,
    PlannedEdit,
    Starts,
    StoredModel,
    load_repertoire,
    method_offers,
    plan_by_method,
    plan_edit,
    z_of_seeds,
)
from service.specs import WalkSpec
from service.walking import LoadedHeads, find_direction, score_all, walk_all


def loaded(model: StoredModel) -> LoadedHeads:
    repertoire = load_repertoire(model, torch.device("cpu"))
    return LoadedHeads(repertoire.heads, model.mapper(), (2, 2, 3), repertoire)


def spec(model: StoredModel, seed: int, *edits: PlannedEdit) -> WalkSpec:
    return WalkSpec(model.tag, Starts(z=z_of_seeds(model.card, [seed])), edits)


def test_mixed_requests_equal_single_ones(tiny: StoredModel) -> None:
    card = tiny.card
    specs = [
        spec(tiny, 1, plan_edit(card, "smile", "smiling")),
        spec(tiny, 2, plan_edit(card, "hair", "blond", 4), plan_edit(card, "age", "old", 2)),
        spec(tiny, 3, plan_edit(card, "age", "young", 0)),
    ]
    together = walk_all(loaded(tiny), specs)
    assert [len(answer["latents"]) for answer in together] == [7, 7, 1]
    for one, answer in zip(specs, together, strict=True):
        alone = walk_all(loaded(tiny), [one])[0]
        np.testing.assert_allclose(answer["latents"], alone["latents"], atol=1e-5)
        np.testing.assert_allclose(answer["probabilities"], alone["probabilities"], atol=1e-5)
        assert [edit["steps_taken"] for edit in answer["edits"]] == [
            edit["steps_taken"] for edit in alone["edits"]
        ]


def test_a_second_edit_starts_where_the_first_ended(tiny: StoredModel) -> None:
    first = plan_edit(tiny.card, "hair", "blond", 4)
    second = plan_edit(tiny.card, "age", "old", 2)
    both = walk_all(loaded(tiny), [spec(tiny, 2, first, second)])[0]
    middle = WalkSpec(tiny.tag, Starts(latents=both["latents"][4:5]), (second,))
    chained = walk_all(loaded(tiny), [middle])[0]
    np.testing.assert_allclose(chained["latents"], both["latents"][4:], atol=1e-5)


def test_ranges_and_true_w_plus_latents_mix_in_one_batch(tiny_style: StoredModel) -> None:
    card = tiny_style.card
    latents = np.random.default_rng(0).normal(size=(3, *card.latent_shape)).astype(np.float32)
    plans = [
        [plan_edit(card, "smile", "smiling", layers=(1, 3))],
        [plan_edit(card, "age", "old", 3), plan_edit(card, "hair", "brown", 2, layers=(4, 6))],
        [plan_edit(card, "hair", "blond", 4, layers=(0, 1), stop=0.9)],
    ]
    specs = [
        WalkSpec(tiny_style.tag, Starts(latents=latents[n : n + 1]), tuple(plans[n]))
        for n in range(3)
    ]
    together = walk_all(loaded(tiny_style), specs)
    for one, answer in zip(specs, together, strict=True):
        alone = walk_all(loaded(tiny_style), [one])[0]
        np.testing.assert_allclose(answer["latents"], alone["latents"], atol=1e-5)
        np.testing.assert_allclose(answer["probabilities"], alone["probabilities"], atol=1e-5)


def test_scores_stop_and_reached_read_the_same_point(tiny_style: StoredModel) -> None:
    card, model = tiny_style.card, loaded(tiny_style)
    latents = np.random.default_rng(1).normal(size=(1, *card.latent_shape)).astype(np.float32)
    second = plan_edit(card, "smile", "smiling", 40, layers=(1, 3), exclude=[], stop=0.9)
    spec = WalkSpec(
        tiny_style.tag,
        Starts(latents=latents),
        (plan_edit(card, "hair", "blond", 3, layers=(4, 6)), second),
    )
    answer = walk_all(model, [spec])[0]
    frames, report = answer["latents"], answer["edits"][1]
    read = np.concatenate([frames[:4, 4:6], frames[4:, 1:3]]).mean(axis=1)[:, None]
    np.testing.assert_allclose(score_all(model, read), answer["probabilities"], atol=1e-5)
    smiling = answer["probabilities"][4:, 0, 1]
    assert report["reached"]
    assert 0 < report["steps_taken"] == len(smiling) < 40
    assert smiling[-1] >= 0.9 > smiling[-2]
    again = WalkSpec(tiny_style.tag, Starts(latents=frames[-1:]), (second,))
    assert [edit["steps_taken"] for edit in walk_all(model, [again])[0]["edits"]] == [0]


def test_a_refused_request_does_not_touch_its_neighbours(tiny: StoredModel) -> None:
    masked = plan_edit(tiny.card, "smile", "smiling", exclude=[("age", 16)])
    later = spec(tiny, 1, plan_edit(tiny.card, "hair", "blond", 2), masked)
    free = spec(tiny, 1, plan_edit(tiny.card, "smile", "smiling"))
    refused, answered = walk_all(loaded(tiny), [later, free])
    assert refused["refusal"]["code"] == "no_editable_channels"
    assert refused["refusal"]["field"] == "edits[1].exclude"
    assert len(answered["latents"]) == 7


def test_reached_respects_the_stop_probability(tiny: StoredModel) -> None:
    edit = plan_edit(tiny.card, "hair", "blond", 40, exclude=[], stop=0.8)
    report = walk_all(loaded(tiny), [spec(tiny, 5, edit)])[0]["edits"][0]
    assert report["reached"]
    assert report["steps_taken"] < 40
    short = plan_edit(tiny.card, "hair", "blond", 1, 1e-4, exclude=[], stop=0.999)
    assert not walk_all(loaded(tiny), [spec(tiny, 5, short)])[0]["edits"][0]["reached"]


def test_direction_and_scores_agree_with_the_walk(tiny: StoredModel) -> None:
    edit = PlannedEdit(0, 1, 1, 0.5, (0, 3, 0), (0, 1), NEVER_STOP)
    one = spec(tiny, 4, edit)
    walked = walk_all(loaded(tiny), [one])[0]
    found = find_direction(loaded(tiny), one)
    step = walked["latents"][1, 0] - walked["latents"][0, 0]
    np.testing.assert_allclose(step, 0.5 * found["direction"], atol=1e-6)
    assert found["masked_channels"] == 3
    np.testing.assert_allclose(
        score_all(loaded(tiny), walked["latents"]), walked["probabilities"], atol=1e-5
    )


def by(model: StoredModel, method: MethodName, name: str, to: str, steps: int = 3) -> PlannedEdit:
    knobs = EditKnobs(steps, exclude=())
    return plan_by_method(model.card, method_offers(model), method, name, to, knobs)


def test_edits_of_different_methods_follow_each_other(tiny_lines: StoredModel) -> None:
    model = loaded(tiny_lines)
    edits = (
        by(tiny_lines, "ganspace", "age", "old"),
        plan_edit(tiny_lines.card, "hair", "blond", 4),
        by(tiny_lines, "gradctrl-released", "smile", "smiling", 2),
        by(tiny_lines, "stylespace", "smile", "smiling", 2),
        by(tiny_lines, "stylespace", "age", "old", 1),
    )
    answer = walk_all(model, [spec(tiny_lines, 1, *edits)])[0]
    assert [edit["steps_taken"] for edit in answer["edits"]] == [3, 4, 2, 2, 1]
    assert [edit["reached"] is None for edit in answer["edits"]] == [False] * 3 + [True] * 2
    latents, styles = answer["latents"], answer["styles"]
    assert len(latents) == len(answer["probabilities"]) == len(styles) == 13
    assert not styles[:10].any()
    np.testing.assert_array_equal(latents[10:], latents[[9, 9, 9]])
    assert np.isfinite(answer["probabilities"][:10]).all()
    assert np.isnan(answer["probabilities"][10:]).all()
    smile = model.repertoire.directions["stylespace", "smile"].vectors[1].numpy()
    age = model.repertoire.directions["stylespace", "age"].vectors[1].numpy()
    np.testing.assert_allclose(styles[10:], [smile, 2 * smile, 2 * smile + age])
    alone = walk_all(model, [spec(tiny_lines, 1, edits[0])])[0]
    np.testing.assert_array_equal(alone["latents"], latents[:4])
    assert alone["styles"] is None


def test_a_mixed_batch_equals_single_requests(tiny_lines: StoredModel) -> None:
    model = loaded(tiny_lines)
    specs = [
        spec(tiny_lines, 1, by(tiny_lines, "interfacegan", "age", "young")),
        spec(tiny_lines, 2, plan_edit(tiny_lines.card, "smile", "smiling")),
        spec(tiny_lines, 3, by(tiny_lines, "stylespace", "age", "old", 2)),
        spec(tiny_lines, 4, plan_edit(tiny_lines.card, "hair", "blond", 2)),
    ]
    for one, answer in zip(specs, walk_all(model, specs), strict=True):
        alone = walk_all(model, [one])[0]
        np.testing.assert_allclose(answer["latents"], alone["latents"], atol=1e-5)
        np.testing.assert_allclose(answer["probabilities"], alone["probabilities"], atol=1e-5)


def test_a_line_stops_where_the_heads_say_so(tiny_lines: StoredModel) -> None:
    model = loaded(tiny_lines)
    line = replace(by(tiny_lines, "interfacegan", "age", "old", 30), step_size=0.4)
    whole = walk_all(model, [spec(tiny_lines, 5, line)])[0]
    old = whole["probabilities"][:, 1, 1]
    assert len(old) == 31
    limit = float(old.min() + old.max()) / 2
    stopped = walk_all(model, [spec(tiny_lines, 5, replace(line, stop_probability=limit))])[0]
    first = int((old >= limit).argmax())
    assert stopped["edits"][0]["steps_taken"] == first == len(stopped["latents"]) - 1
    reached = old[first] > 0.5  # the most probable class, and the probability asked for
    assert stopped["edits"][0]["reached"] == reached


def test_a_method_with_nothing_to_follow_is_refused(tiny_lines: StoredModel) -> None:
    edit = by(tiny_lines, "gradctrl-released", "smile", "smiling", 2)
    masked = replace(edit, top_k=(0, 16, 0))
    refused = walk_all(loaded(tiny_lines), [spec(tiny_lines, 1, edit, masked)])[0]["refusal"]
    assert refused["code"] == "no_editable_channels"
    assert refused["field"] == "edits[1].method"
    assert "nothing to follow at step 0" in refused["message"]
