"""export/evaluation/protocols.py: every start fits its rule; ends are where they should be."""

import numpy as np
import pytest
import torch
from torch import Tensor

from editing import spread
from export.banks import Bank, BankInfo
from export.evaluation.pool import Pool
from export.evaluation.protocols import FAR_END, FAR_OTHERS, FAR_START, PROTOCOLS

INFO = BankInfo("tiny", "0" * 64, 600, 0, 1.0, 600)


@pytest.fixture
def pool() -> Pool:
    """600 samples, two binary attributes and one of three classes."""
    generator = torch.Generator().manual_seed(0)
    margins = torch.randn(600, 3, 3, generator=generator) * 5
    margins[:, :2, 1] = -margins[:, :2, 0]
    margins[:, :2, 2] = -torch.inf
    return Pool(
        Bank(INFO, np.zeros((600, 1, 1)), np.zeros((600, 1, 1, 3))), margins, spread(margins)
    )


def standardised(pool: Pool, samples: Tensor, attribute: int, classes: Tensor) -> Tensor:
    """Margins of one class per sample, in standard deviations."""
    own = pool.margins[samples, attribute, classes]
    return own / pool.sigma[attribute, classes]


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("attribute", [0, 2])
def test_targets_are_other_classes_that_exist(pool: Pool, name: str, attribute: int) -> None:
    starts = PROTOCOLS[name].choose(pool, attribute, 50, 3)
    assert len(starts.samples.unique()) == len(starts.samples) > 20
    assert bool((starts.target != pool.labels[starts.samples, attribute]).all())
    assert int(starts.target.max()) <= (1 if attribute == 0 else 2)
    again = PROTOCOLS[name].choose(pool, attribute, 50, 3)
    assert torch.equal(starts.samples, again.samples)
    assert torch.equal(starts.target, again.target)


def test_a_judge_that_is_sure_beyond_numbers_leaves_its_classes(pool: Pool) -> None:
    pool.margins[0, 2] = torch.tensor([torch.inf, -torch.inf, -torch.inf])
    starts = PROTOCOLS["default"].choose(pool, 2, 100, 0)
    assert starts.target.unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize("attribute", [0, 2])
def test_far_starts_are_clear_cases_on_the_wrong_side(pool: Pool, attribute: int) -> None:
    starts = PROTOCOLS["far"].choose(pool, attribute, 1000, 0)
    own = standardised(pool, starts.samples, attribute, starts.target)
    assert FAR_START[0] <= float(own.min()) <= float(own.max()) <= FAR_START[1]
    for other in {0, 1, 2} - {attribute}:
        label = pool.labels[starts.samples, other]
        assert float(standardised(pool, starts.samples, other, label).min()) >= FAR_OTHERS


def test_near_looks_at_all_attributes_and_near_own_at_one(pool: Pool) -> None:
    near = PROTOCOLS["near"].choose(pool, 0, 60, 0).samples
    own = PROTOCOLS["near-own"].choose(pool, 0, 60, 0).samples
    distance = pool.margins[:, 0, 0].abs()
    assert float(distance[own].max()) <= float(distance.sort().values[60])
    assert float(pool.margins[near, 1, 0].abs().mean()) < float(
        pool.margins[own, 1, 0].abs().mean()
    )


def test_near_arrives_at_the_label_and_far_beyond_it(pool: Pool) -> None:
    sigma = torch.full((3, 3), 2.0)
    just = torch.tensor([[[-0.1, 0.1], [1.0, -1.0]]])
    beyond = torch.tensor([[[-9.0, FAR_END * 2.0], [1.0, -1.0]]])
    target = torch.tensor([1])
    near, far = PROTOCOLS["near"], PROTOCOLS["far"]
    assert near.arrived(just, sigma[:2, :2], 0, target).tolist() == [True]
    assert far.arrived(just, sigma[:2, :2], 0, target).tolist() == [False]
    assert far.arrived(beyond, sigma[:2, :2], 0, target).tolist() == [True]


def test_no_fitting_start_is_an_empty_choice(pool: Pool) -> None:
    margins = torch.full_like(pool.margins, 0.01)
    flat = Pool(pool.bank, margins, torch.ones(3, 3))
    assert len(PROTOCOLS["far"].choose(flat, 0, 50, 0).samples) == 0
