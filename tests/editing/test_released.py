"""editing/released.py: probability rows, exact masks, refusals; parity is test_parity.py."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from editing import (
    EditSettings,
    PaperGradCtrl,
    ReleasedGradCtrl,
    class_logits,
    class_probabilities,
    overwrite_layers,
    paper_walk,
    probability_rows,
    released_walk,
    score_rows,
    stack_heads,
)
from editing.released import last_ranked
from tests.doubles import make_head

NAMED = [make_head(2, 0), make_head(2, 1), make_head(3, 2)]
HEADS = stack_heads(NAMED)
NO_MASK = torch.zeros(4, 3, dtype=torch.int64)


def starts(count: int = 4) -> Tensor:
    return torch.randn(count, 16, generator=torch.manual_seed(3))


def constant(value: int, count: int = 4) -> Tensor:
    return torch.full((count,), value)


def test_probability_rows_equal_autograd() -> None:
    points = starts().requires_grad_()
    targets = torch.tensor([[1, 0, 2], [0, 1, 1], [1, 1, 0], [0, 0, 2]])
    rows = probability_rows(HEADS, points, targets)
    for a in range(3):
        chosen = class_probabilities(HEADS, points)[torch.arange(4), a, targets[:, a]]
        expected = torch.autograd.grad(chosen.sum(), points)[0]
        torch.testing.assert_close(rows[:, a], expected, atol=1e-6, rtol=1e-5)


def test_score_rows_are_the_jacobian_with_the_sign_of_the_class() -> None:
    points = starts().requires_grad_()
    targets = torch.tensor([[1, 0, 2]]).expand(4, -1)
    rows = score_rows(HEADS, points, targets)
    for a, (k, sign) in enumerate([(1, 1.0), (1, -1.0), (2, 1.0)]):
        logit = class_logits(HEADS, points)[:, a, k].sum()
        expected = sign * torch.autograd.grad(logit, points)[0]
        torch.testing.assert_close(rows[:, a], expected, atol=1e-6, rtol=1e-5)


def test_exactly_k_channels_are_protected_even_if_all_are_equal() -> None:
    flat = replace(NAMED[1], class_weight=torch.zeros(1, 8))  # its gradient is zero everywhere
    heads = stack_heads([NAMED[0], flat, NAMED[2]])
    top_k = torch.tensor([[0, 5, 0]]).expand(4, -1)
    walked = released_walk(heads, starts(), constant(0), constant(1), top_k, steps=1)
    still = walked.points[:, 1] == walked.points[:, 0]
    assert still.sum(dim=1).tolist() == [5] * 4


def test_zero_protects_nothing() -> None:
    walked = released_walk(HEADS, starts(), constant(2), constant(1), NO_MASK, steps=1)
    assert (walked.points[:, 1] != walked.points[:, 0]).all()
    length = torch.linalg.vector_norm(walked.points[:, 1] - walked.points[:, 0], dim=1)
    torch.testing.assert_close(length, torch.full((4,), 4 / 9))


def test_fully_masked_samples_are_refused_where_the_released_code_gives_nan() -> None:
    top_k = torch.tensor([[0, 16, 0], [0, 2, 0], [0, 16, 0], [0, 2, 0]])
    for walk in (released_walk, paper_walk):
        walked = walk(HEADS, starts(), constant(0), constant(1), top_k, 4)
        assert torch.isfinite(walked.points).all()
        assert walked.refused[[0, 2]].all()
        assert (walked.points[[0, 2]] == starts()[[0, 2], None]).all()
    masked = probability_rows(HEADS, starts(), torch.ones(4, 3, dtype=torch.int64))[0, 0] * 0
    assert torch.isnan(masked / torch.linalg.vector_norm(masked)).all()  # what it would have done


@pytest.mark.parametrize("target", [0, 1])
def test_saturated_heads_are_refused_not_nan(target: int) -> None:
    sure = [replace(head, class_weight=head.class_weight * 1e4) for head in NAMED]
    walked = released_walk(stack_heads(sure), starts(), constant(0), constant(target), NO_MASK)
    assert torch.isfinite(walked.points).all()
    assert walked.refused.any()


def test_a_refused_sample_stays_where_it_was() -> None:
    sure = [replace(head, class_weight=head.class_weight * 60) for head in NAMED]
    walked = released_walk(
        stack_heads(sure),
        starts(64),
        constant(0, 64),
        constant(1, 64),
        torch.zeros(64, 3, dtype=torch.int64),
        40,
        2.0,
    )
    moved = (walked.points[:, 1:] != walked.points[:, :-1]).any(dim=2)  # [N, T - 1]
    late = walked.refused & moved[:, 0]
    assert late.any()
    assert not (moved[:, 1:] & ~moved[:, :-1]).any()  # once still, still for ever


def test_the_paper_moves_by_the_raw_row_and_stops_at_the_flip() -> None:
    start, target = starts(32), constant(1, 32)
    no_mask = torch.zeros(32, 3, dtype=torch.int64)
    walked = paper_walk(HEADS, start, constant(0, 32), target, no_mask, 12)
    label = class_logits(HEADS, start).argmax(dim=2)[:, 0]
    row = score_rows(HEADS, start, torch.ones(32, 3, dtype=torch.int64))[:, 0]
    outside = label == 0
    torch.testing.assert_close(walked.points[outside, 1], (start + 0.6 * row)[outside])
    assert (walked.points[~outside, 1] == start[~outside]).all()
    assert (~outside).any()
    for path in walked.points[outside]:
        labels = class_logits(HEADS, path).argmax(dim=2)[:, 0]
        flips = torch.nonzero(labels == 1)
        if len(flips):
            first = int(flips[0])
            assert (path[first:] == path[first]).all()
    assert not walked.refused.any()


def test_overwriting_writes_one_w_into_the_range_alone() -> None:
    latents = torch.randn(2, 5, 16, generator=torch.manual_seed(1))
    points = torch.randn(2, 3, 16, generator=torch.manual_seed(2))
    ranges = torch.tensor([[1, 3], [0, 5]])
    frames = overwrite_layers(latents, points, ranges)
    assert (frames[:, 0] == latents).all()
    assert (frames[0, 1:, 1:3] == points[0, 1:, None]).all()
    assert (frames[0, 1:, [0, 3, 4]] == latents[0, [0, 3, 4]]).all()
    assert (frames[1, 1:] == points[1, 1:, None]).all()


def test_methods_walk_with_the_masks_and_layers_of_their_attribute() -> None:
    settings = [EditSettings((0, 3, 0), (1, 3), 0.1), EditSettings((0, 0, 0), (0, 4), 0.1)]
    settings += [EditSettings((2, 2, 0), (0, 4), 0.1)]
    latents = starts()[:, None].repeat(1, 4, 1)
    path = ReleasedGradCtrl(HEADS, settings).path(latents, 0, constant(1), 5)
    top_k = torch.tensor([[0, 3, 0]]).expand(4, -1)
    expected = released_walk(HEADS, starts(), constant(0), constant(1), top_k, 5)
    assert path.latents.shape == (4, 6, 4, 16)
    torch.testing.assert_close(path.latents[:, :, 1], expected.points)
    assert (path.latents[:, :, [0, 3]] == latents[:, None, [0, 3]]).all()
    paper = PaperGradCtrl(HEADS, settings).path(latents, 2, constant(1), 5)
    top_k = torch.tensor([[2, 2, 0]]).expand(4, -1)
    raw = paper_walk(HEADS, starts(), constant(2), constant(1), top_k, 5)
    torch.testing.assert_close(paper.latents[:, :, 0], raw.points)


def test_a_batch_of_mixed_edits_equals_single_walks() -> None:
    attribute, target = torch.tensor([0, 1, 2, 2]), torch.tensor([1, 0, 2, 0])
    top_k = torch.tensor([[0, 3, 2], [4, 0, 0], [0, 0, 0], [5, 5, 0]])
    for walk in (released_walk, paper_walk):
        together = walk(HEADS, starts(), attribute, target, top_k, 6)
        for n in range(4):
            one = slice(n, n + 1)
            alone = walk(HEADS, starts()[one], attribute[one], target[one], top_k[one], 6)
            torch.testing.assert_close(together.points[one], alone.points, atol=1e-5, rtol=1e-5)


def test_the_report_says_what_was_walked_and_masked() -> None:
    top_k = torch.tensor([[0, 3, 0], [0, 16, 0], [0, 3, 2], [0, 0, 0]])
    walked = released_walk(HEADS, starts(), constant(0), constant(1), top_k, 5)
    report = walked.report
    assert report.steps_taken.tolist() == [5, 0, 5, 5]
    assert report.masked_channels.tolist()[0] == 3
    assert 3 <= int(report.masked_channels[2]) <= 5
    assert report.masked_channels.tolist()[3] == 0
    assert report.kept_norm[3] == 1
    assert (report.kept_norm[[0, 2]] < 1).all()
    still = (walked.points[0, 1:] == walked.points[0, :-1]).sum(dim=1)
    assert int(still.max()) == 3
    row = probability_rows(HEADS, starts(), torch.ones(4, 3, dtype=torch.int64))[0, 0]
    kept = torch.where(walked.points[0, 1] != walked.points[0, 0], row, 0.0)
    share = torch.linalg.vector_norm(kept) / torch.linalg.vector_norm(row)
    once = released_walk(HEADS, starts()[:1], constant(0, 1), constant(1, 1), top_k[:1], 1)
    torch.testing.assert_close(once.report.kept_norm[0], share)


def test_the_paper_takes_steps_until_the_label_flips() -> None:
    walked = paper_walk(HEADS, starts(), constant(2), constant(1), NO_MASK, 60)
    labels = class_logits(HEADS, walked.points.flatten(0, 1)).argmax(dim=2)[:, 2].view(4, 61)
    for n, taken in enumerate(walked.report.steps_taken.tolist()):
        assert (labels[n, :taken] != 1).all()
        assert taken == 60 or bool((labels[n, taken:] == 1).all())
    assert walked.report.steps_taken.max() < 60
    going_on = paper_walk(HEADS, starts(), constant(2), constant(1), NO_MASK, 60, stops=False)
    assert going_on.report.steps_taken.tolist() == [60] * 4
    first = int(walked.report.steps_taken[0])
    assert torch.equal(going_on.points[0, : first + 1], walked.points[0, : first + 1])


@pytest.mark.parametrize("levels", [3, 10_000])  # many equal ones, and none
def test_exactly_k_channels_are_the_last_of_a_stable_sort(levels: int) -> None:
    torch.manual_seed(levels)
    saliency = torch.randint(0, levels, (6, 3, 40)).float()
    top_k = torch.tensor([[0, 5, 40], [0, 7, 50], [0, 5, 1], [0, 0, 0], [0, 39, 2], [0, 5, 5]])
    found = last_ranked(saliency, top_k)
    for n in range(6):
        expected = torch.zeros(40, dtype=torch.bool)
        for a in range(3):
            order = saliency[n, a].argsort(stable=True)
            expected[order[max(0, 40 - int(top_k[n, a])) :]] = True
        assert torch.equal(found[n], expected)
