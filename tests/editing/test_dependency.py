"""editing/dependency.py: hand-made margins whose changes are known."""

import torch

from editing import at_equal_change, changes, dependency_curve, log_odds, spread


def test_log_odds_of_a_binary_attribute_are_its_logit() -> None:
    logits = torch.tensor([[0.0, 3.0], [0.0, -50.0]])
    torch.testing.assert_close(log_odds(logits)[:, 1], logits[:, 1])
    torch.testing.assert_close(log_odds(logits)[:, 0], -logits[:, 1])


def test_log_odds_match_probabilities_and_skip_absent_classes() -> None:
    logits = torch.tensor([[0.3, -1.0, 2.0, -torch.inf]])
    p = logits.softmax(dim=1)[:, :3]
    odds = log_odds(logits)
    torch.testing.assert_close(odds[:, :3], (p / (1 - p)).log())
    assert odds[0, 3] == -torch.inf


def test_spread_is_one_where_there_is_no_scale() -> None:
    margins = torch.randn(500, 2, 3, generator=torch.Generator().manual_seed(0)) * 4
    margins[:, 1, 2] = -torch.inf
    margins[:, 0, 1] = 7.0
    sigma = spread(margins)
    assert abs(float(sigma[0, 0]) - 4) < 0.5
    assert sigma[1, 2] == 1
    assert sigma[0, 1] == 1


def test_changes_follow_the_target_and_the_classes_the_others_started_in() -> None:
    margins = torch.zeros(1, 2, 3, 2)
    margins[0, 0] = torch.tensor([[2.0, -2.0], [1.0, -1.0], [-3.0, 3.0]])
    margins[0, 1] = torch.tensor([[-4.0, 4.0], [-1.0, 1.0], [-2.0, 2.0]])
    sigma = torch.tensor([[3.0, 3.0], [2.0, 2.0], [0.5, 0.5]])
    found = changes(margins, sigma, 0, torch.tensor([1]))
    torch.testing.assert_close(found.target, torch.tensor([[0.0, 2.0]]))  # (4 - -2) / 3
    torch.testing.assert_close(found.others, torch.tensor([[0.0, 1.5]]))  # (2 / 2 + 1 / .5) / 2


def test_frames_that_nobody_looked_at_stay_nan() -> None:
    margins = torch.zeros(1, 3, 2, 2)
    margins[0, 2] = torch.nan
    found = changes(margins, torch.ones(2, 2), 0, torch.tensor([1]))
    assert found.target[0].isnan().tolist() == [False, False, True]
    assert found.others[0].isnan().tolist() == [False, False, True]


def test_the_curve_groups_by_change_and_ignores_nan() -> None:
    change = torch.tensor([0.1, 0.3, 0.9, torch.nan, 5.0])
    dependency = torch.tensor([1.0, 3.0, 7.0, 100.0, 100.0])
    curve = dependency_curve(change, dependency, torch.tensor([0.0, 0.5, 1.0, 1.5]))
    assert curve.counts.tolist() == [2, 1, 0]
    assert curve.dependency[:2].tolist() == [2.0, 7.0]
    assert curve.dependency[2].isnan()
    torch.testing.assert_close(curve.centers, torch.tensor([0.25, 0.75, 1.25]))


def test_dependency_at_equal_change_is_interpolated() -> None:
    change = torch.tensor([[0.0, 0.5, 1.5, 0.2], [0.0, 0.4, 0.8, torch.nan]])
    dependency = torch.tensor([[0.0, 1.0, 3.0, 9.0], [0.0, 1.0, 2.0, torch.nan]])
    found = at_equal_change(change, dependency, 1.0)
    assert float(found[0]) == 2.0
    assert found[1].isnan()
