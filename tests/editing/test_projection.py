"""editing/projection.py: what protected rows lose."""

import pytest
import torch

from editing import MaskedDirection, ShapeError, mask_salient_channels, project_off


def found(direction: torch.Tensor) -> MaskedDirection:
    """A unit direction with nothing masked."""
    unit = direction / direction.norm(dim=1, keepdim=True)
    whole = torch.ones(len(direction))
    return MaskedDirection(unit, torch.zeros(len(direction), dtype=torch.int64), whole)


def test_the_direction_no_longer_follows_protected_rows() -> None:
    torch.manual_seed(0)
    rows, start = torch.randn(5, 4, 30), found(torch.randn(5, 30))
    protected = torch.tensor([False, True, True, False]).expand(5, 4)
    left = project_off(start, rows, protected)
    along = (rows @ left.direction[:, :, None])[:, :, 0]
    assert along[:, 1:3].abs().max() < 2e-3
    assert along[:, 3].abs().min() > 2e-3
    torch.testing.assert_close(left.direction.norm(dim=1), torch.ones(5))
    assert (left.kept_norm < 1).all()


def test_masked_channels_stay_masked() -> None:
    torch.manual_seed(0)
    rows = torch.randn(3, 2, 30)
    masked = mask_salient_channels(rows[:, 0], rows.abs(), torch.tensor([[0, 5]]).expand(3, -1))
    left = project_off(masked, rows, torch.tensor([[False, True]]).expand(3, -1))
    assert ((left.direction == 0) >= (masked.direction == 0)).all()
    assert torch.equal(left.masked_channels, masked.masked_channels)


def test_nothing_protected_changes_nothing() -> None:
    start = found(torch.randn(2, 8))
    left = project_off(start, torch.randn(2, 3, 8), torch.zeros(2, 3, dtype=torch.bool))
    torch.testing.assert_close(left.direction, start.direction)
    torch.testing.assert_close(left.kept_norm, start.kept_norm)


def test_equal_rows_and_zero_rows_are_solvable() -> None:
    row = torch.randn(1, 1, 8)
    rows = torch.cat([row, row, torch.zeros(1, 1, 8)], dim=1)
    left = project_off(found(torch.randn(1, 8)), rows, torch.ones(1, 3, dtype=torch.bool))
    assert left.direction.isfinite().all()
    assert abs(float(left.direction[0] @ row[0, 0] / row.norm())) < 1e-3


def test_a_direction_within_the_span_keeps_nothing() -> None:
    torch.manual_seed(0)
    rows = torch.randn(3, 2, 8)
    twin = project_off(found(rows[:, 0]), rows, torch.tensor([[True, False]]).expand(3, -1))
    assert not twin.direction.any()
    assert not twin.kept_norm.any()


def test_as_many_protected_rows_as_free_channels_keep_nothing() -> None:
    start = found(torch.tensor([[1.0, -2.0, 0.0, 0.0, 0.0]]))
    rows = torch.tensor([[[1.0, 0.5, 3.0, -1.0, 2.0], [-0.5, 2.0, 1.0, 4.0, 0.0]]])
    left = project_off(start, rows, torch.ones(1, 2, dtype=torch.bool))
    assert not left.direction.any()
    assert not left.kept_norm.any()


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ShapeError, match="protected"):
        project_off(found(torch.randn(2, 8)), torch.randn(2, 3, 8), torch.ones(2, 2).bool())
