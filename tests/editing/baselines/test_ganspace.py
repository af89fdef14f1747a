"""editing/baselines/ganspace.py: principal components against scikit-learn and planted ones."""

import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from editing import EditingError
from editing.baselines import principal_components, regressed_components


def planted(samples: int = 4000) -> Tensor:
    """Points [N, 6] whose channels have very different deviations around a mean of 5."""
    noise = torch.randn(samples, 6, generator=torch.manual_seed(0))
    return noise * torch.tensor([0.1, 3.0, 0.2, 1.0, 0.5, 0.3]) + 5


def test_components_equal_scikit_learn() -> None:
    points = planted(300) @ torch.linalg.qr(torch.randn(6, 6, generator=torch.manual_seed(1)))[0]
    found = principal_components(points, 4)
    reference = PCA(4).fit(points.double().numpy())
    cosines = (found.components.double() * torch.from_numpy(reference.components_)).sum(dim=1)
    torch.testing.assert_close(cosines.abs(), torch.ones(4).double())
    expected = torch.from_numpy(reference.explained_variance_).sqrt().float()
    torch.testing.assert_close(found.deviations, expected)


def test_the_channel_that_varies_most_comes_first() -> None:
    found = principal_components(planted(), 2)
    assert found.components.abs().argmax(dim=1).tolist() == [1, 3]
    torch.testing.assert_close(found.deviations, torch.tensor([3.0, 1.0]), atol=0.1, rtol=0)


def test_there_are_no_more_components_than_channels_or_samples() -> None:
    assert principal_components(planted(), 80).components.shape == (6, 6)
    few = principal_components(planted(3), 80)
    assert few.components.shape == (2, 6)
    assert torch.isfinite(few.components).all()
    with pytest.raises(EditingError, match="at least 2 samples"):
        principal_components(planted(1), 80)


def test_components_of_linear_features_are_the_right_singular_vectors() -> None:
    generator = torch.manual_seed(2)
    z = torch.randn(5000, 6, generator=generator)
    basis = torch.linalg.qr(torch.randn(6, 6, generator=generator))[0]
    features = z @ basis.T * torch.tensor([9.0, 6.0, 4.0, 2.0, 1.0, 0.5])
    found = regressed_components(features, z, 3)
    cosines = (found.components * basis[:3]).sum(dim=1)
    torch.testing.assert_close(cosines.abs(), torch.ones(3), atol=0.02, rtol=0)
    torch.testing.assert_close(found.deviations, torch.ones(3), atol=0.05, rtol=0)


def test_constant_features_give_no_direction_and_no_nan() -> None:
    found = regressed_components(torch.ones(50, 4), planted(50), 2)
    assert torch.isfinite(found.components).all()
    assert (found.deviations == 0).all()
