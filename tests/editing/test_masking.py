"""editing/masking.py: Algorithm 1, per sample."""

import pytest
import torch

from editing import ShapeError, mask_salient_channels

GRADIENT = torch.tensor([[3.0, 4.0, 12.0, 0.5]])
SALIENCY = torch.tensor([[[0.1, 0.9, 0.2, 0.3], [0.0, 0.1, 0.7, 0.2]]])  # [1, A=2, C=4]


def top_k(*k: int) -> torch.Tensor:
    return torch.tensor([k])


def test_the_union_of_salient_channels_is_zeroed_and_the_rest_normalised() -> None:
    found = mask_salient_channels(GRADIENT, SALIENCY, top_k(1, 1))
    length = (3.0**2 + 0.5**2) ** 0.5
    torch.testing.assert_close(found.direction, torch.tensor([[3, 0, 0, 0.5]]) / length)
    assert found.masked_channels.tolist() == [2]
    full = float(torch.linalg.vector_norm(GRADIENT))
    torch.testing.assert_close(found.kept_norm, torch.tensor([length / full]))


def test_zero_protects_nothing() -> None:
    found = mask_salient_channels(GRADIENT, SALIENCY, top_k(0, 0))
    assert found.masked_channels.tolist() == [0]
    torch.testing.assert_close(found.direction, GRADIENT / torch.linalg.vector_norm(GRADIENT))
    torch.testing.assert_close(found.kept_norm, torch.ones(1))


def test_channels_tied_at_the_threshold_are_all_protected() -> None:
    tied = torch.tensor([[[0.5, 0.5, 0.5, 0.1]]])
    found = mask_salient_channels(GRADIENT, tied, top_k(1))
    assert found.masked_channels.tolist() == [3]


def test_samples_have_their_own_masks() -> None:
    found = mask_salient_channels(
        GRADIENT.repeat(3, 1), SALIENCY.repeat(3, 1, 1), torch.tensor([[0, 0], [1, 0], [4, 4]])
    )
    assert found.masked_channels.tolist() == [0, 1, 4]
    assert found.kept_norm[2] == 0
    assert (found.direction[2] == 0).all()
    assert found.direction[1, 1] == 0


def test_non_finite_and_zero_gradients_leave_nothing() -> None:
    bad = torch.tensor([[torch.nan, 1, 1, 1], [torch.inf, 1, 1, 1], [0, 0, 0, 0]])
    found = mask_salient_channels(
        bad, SALIENCY.repeat(3, 1, 1), torch.zeros(3, 2, dtype=torch.int64)
    )
    assert found.kept_norm.tolist() == [0, 0, 0]
    assert (found.direction == 0).all()


def test_tiny_gradients_do_not_underflow() -> None:
    found = mask_salient_channels(GRADIENT * 1e-30, SALIENCY, top_k(0, 0))
    torch.testing.assert_close(torch.linalg.vector_norm(found.direction, dim=1), torch.ones(1))
    torch.testing.assert_close(found.kept_norm, torch.ones(1))


def test_arguments_are_left_alone() -> None:
    gradient, saliency = GRADIENT.clone(), SALIENCY.clone()
    mask_salient_channels(gradient, saliency, top_k(2, 1))
    torch.testing.assert_close(gradient, GRADIENT)
    torch.testing.assert_close(saliency, SALIENCY)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ShapeError, match="saliency"):
        mask_salient_channels(GRADIENT, SALIENCY[:, :, :3], top_k(1, 1))
    with pytest.raises(ShapeError, match="top_k"):
        mask_salient_channels(GRADIENT, SALIENCY, top_k(1))


def test_every_count_masks_what_a_whole_sort_would() -> None:
    """Also with ties at the threshold, and counts that differ by sample and attribute."""
    generator = torch.manual_seed(0)
    saliency = torch.randint(0, 6, (40, 3, 12), generator=generator).float()
    counts = torch.randint(0, 13, (40, 3), generator=generator)
    found = mask_salient_channels(torch.ones(40, 12), saliency, counts)
    for n in range(40):
        protected = torch.zeros(12, dtype=torch.bool)
        for a in range(3):
            if counts[n, a] > 0:
                ordered = saliency[n, a].sort(descending=True).values
                protected |= saliency[n, a] >= ordered[counts[n, a] - 1]
        assert torch.equal(found.direction[n] == 0, protected)
        assert found.masked_channels[n] == protected.sum()


def test_half_precision_masks_the_same_channels() -> None:
    saliency = torch.randn(3, 2, 20, generator=torch.manual_seed(0)).abs().bfloat16()
    counts = torch.tensor([[3, 0], [1, 7], [20, 2]])
    gradient = torch.ones(3, 20)
    half = mask_salient_channels(gradient.bfloat16(), saliency, counts)
    whole = mask_salient_channels(gradient, saliency.float(), counts)
    assert torch.equal(half.direction == 0, whole.direction == 0)
