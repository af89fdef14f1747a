"""editing/trajectory.py: each sample walks as it would alone."""

from dataclasses import fields, replace

import pytest
import torch

from editing import (
    NEVER_STOP,
    EditingError,
    ShapeError,
    WalkPlan,
    class_probabilities,
    direction_at,
    log_odds_rows,
    stack_heads,
    walk,
)
from tests.doubles import make_head

HEADS = stack_heads([make_head(2, 0), make_head(2, 1), make_head(3, 2)])


def plan(*samples: tuple[int, int, int, float, tuple[int, int, int], float]) -> WalkPlan:
    """One tuple per sample: attribute, target, steps, step size, top-k, stop probability."""
    columns = list(zip(*samples, strict=True))
    return WalkPlan(*(torch.tensor(column) for column in columns))


def starts(count: int) -> torch.Tensor:
    return torch.randn(count, 16, generator=torch.manual_seed(3))


MIXED = (
    (0, 1, 6, 0.5, (0, 3, 2), NEVER_STOP),
    (0, 0, 3, 0.2, (0, 0, 0), NEVER_STOP),
    (2, 1, 9, 0.4, (2, 2, 0), 0.6),
    (1, 1, 0, 0.5, (0, 0, 0), NEVER_STOP),
)


def test_a_batch_of_mixed_edits_equals_single_walks() -> None:
    start, noise = starts(4), torch.tensor([0.5, 0.0, 0.2, 0.3])
    together = walk(HEADS, start, replace(plan(*MIXED), row_noise=noise))
    for n, sample in enumerate(MIXED):
        alone = walk(HEADS, start[n : n + 1], replace(plan(sample), row_noise=noise[n : n + 1]))
        taken = int(alone.steps_taken[0])
        assert int(together.steps_taken[n]) == taken
        torch.testing.assert_close(
            together.points[n, : taken + 1], alone.points[0, : taken + 1], atol=1e-5, rtol=1e-5
        )
        assert int(together.masked_channels[n]) == int(alone.masked_channels[0])


def test_steps_have_the_requested_length_and_raise_the_target() -> None:
    path = walk(HEADS, starts(1), plan((2, 1, 9, 0.4, (0, 0, 0), NEVER_STOP)))
    lengths = torch.linalg.vector_norm(path.points[0, 1:] - path.points[0, :-1], dim=1)
    torch.testing.assert_close(lengths, torch.full((9,), 0.4))
    target = path.probabilities[0, :, 2, 1]
    assert (target[1:] > target[:-1]).all()
    torch.testing.assert_close(
        path.probabilities[0, -1], class_probabilities(HEADS, path.points[0, -1:])[0]
    )


def test_both_directions_of_a_binary_attribute() -> None:
    for target in (0, 1):
        path = walk(HEADS, starts(1), plan((0, target, 8, 0.5, (0, 0, 0), NEVER_STOP)))
        assert path.probabilities[0, -1, 0, target] > path.probabilities[0, 0, 0, target]


def test_a_walk_stops_at_its_probability() -> None:
    path = walk(HEADS, starts(1), plan((2, 1, 40, 0.3, (0, 0, 0), 0.7)))
    taken = int(path.steps_taken[0])
    assert 0 < taken < 40
    assert path.probabilities[0, taken, 2, 1] >= 0.7
    assert path.probabilities[0, taken - 1, 2, 1] < 0.7


def test_masked_channels_do_not_move() -> None:
    path = walk(HEADS, starts(1), plan((0, 1, 1, 0.5, (0, 5, 0), NEVER_STOP)))
    still = (path.points[0, 1] == path.points[0, 0]).sum()
    assert int(still) == int(path.masked_channels[0]) == 5
    assert 0 < float(path.kept_norm[0]) < 1


def test_row_noise_is_of_the_edited_attribute_alone() -> None:
    """The direction turns, and still does not change at all what is protected."""
    start, wanted = starts(1), plan((0, 1, 1, 0.5, (0, 1, 1), NEVER_STOP))
    noisy = direction_at(HEADS, start, replace(wanted, row_noise=torch.tensor([0.8]))).direction
    plain = direction_at(HEADS, start, wanted).direction
    assert 0.5 < float(torch.cosine_similarity(noisy, plain)) < 0.999
    now = class_probabilities(HEADS, start).argmax(dim=2)
    rows = log_odds_rows(HEADS, start, now)[0, 1:]
    units = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    assert float((units @ noisy[0]).abs().max()) < 1e-3
    silent = replace(wanted, row_noise=torch.zeros(1))
    assert torch.equal(direction_at(HEADS, start, silent).direction, plain)


def test_only_the_fully_masked_sample_is_refused() -> None:
    path = walk(HEADS, starts(2), plan((0, 1, 3, 0.5, (0, 16, 0), NEVER_STOP), MIXED[0]))
    assert path.refused.tolist() == [True, False]
    assert path.steps_taken.tolist() == [0, 6]
    torch.testing.assert_close(path.points[0, -1], path.points[0, 0])


def test_double_precision_is_kept_and_arguments_are_left_alone() -> None:
    heads, start = HEADS.to("cpu", torch.float64), starts(4).double()
    before = start.clone()
    mixed = replace(plan(*MIXED), row_noise=torch.full((4,), 0.3))
    given = [field.name for field in fields(mixed) if getattr(mixed, field.name) is not None]
    kept = [getattr(mixed, name).clone() for name in given]
    assert walk(heads, start, mixed).points.dtype == torch.float64
    torch.testing.assert_close(start, before)
    for name, old in zip(given, kept, strict=True):
        torch.testing.assert_close(getattr(mixed, name), old)


def test_bad_input_is_named() -> None:
    with pytest.raises(EditingError, match="NaN"):
        walk(HEADS, torch.full((4, 16), torch.nan), plan(*MIXED))
    with pytest.raises(ShapeError, match="attribute"):
        walk(HEADS, starts(3), plan(*MIXED))
    with pytest.raises(EditingError, match="at least one"):
        walk(HEADS, torch.zeros(0, 16), plan(*MIXED))
