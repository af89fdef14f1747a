"""export/baselines/choosing.py: the candidate that edits and spoils nothing wins."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from editing import EditingError, log_odds
from export.baselines.choosing import (
    Candidate,
    Validation,
    choose,
    make_validation,
    rate,
    run_trial,
)

LATENTS = torch.randn(40, 3, 8, generator=torch.manual_seed(0))


def margins(latents: Tensor, offsets: Tensor | None) -> Tensor:
    """Attribute 0 is channel 0 of layer 0; attribute 1 channel 1; styles 0 and 1 add to them."""
    values = latents[:, 0, :2] * 3
    if offsets is not None:
        values = values + offsets[:, :2]
    return log_odds(torch.stack([torch.zeros_like(values), values], dim=2))


def candidate(name: str, *channels: int, layers: tuple[int, int] = (0, 3)) -> Candidate:
    vector = torch.zeros(8)
    vector[list(channels)] = 1
    return Candidate(name, vector, layers, (1.0, 4.0))


@pytest.fixture(scope="module")
def validation() -> Validation:
    return make_validation(LATENTS, margins)


def test_the_clean_candidate_wins_over_strong_and_useless_ones(validation: Validation) -> None:
    both = replace(candidate("both", 0, 1), lengths=(8.0,))
    clean, useless = candidate("clean", 0), candidate("useless", 5)
    elsewhere = candidate("elsewhere", 0, layers=(1, 3))
    trials = [run_trial(validation, one) for one in (useless, both, elsewhere, clean)]
    best = choose(validation, trials, 0, 1, count=4)
    assert [one.candidate.name for one in best[:2]] == ["clean", "both"]
    assert best[0].accuracy == 1.0
    assert {one.accuracy for one in best[2:]} == {0.0}
    assert "clean (validation accuracy 1.00)" in best[0].remark
    wrong_way = choose(validation, trials, 0, 0)[0]
    assert wrong_way.accuracy == 0.0


def test_rates_equal_a_loop(validation: Validation) -> None:
    trial = run_trial(validation, candidate("both", 0, 1))
    hits, tried = 0, 0
    for latents in LATENTS:
        start = latents[0, :2] > 0
        if start[0]:
            continue
        tried += 1
        for length in (1.0, 4.0):
            label = latents[0, :2] + length > 0
            if label[0]:
                hits += int(label[1] == start[1])
                break
    assert 0 < hits < tried
    assert rate(validation, trial, 0, 1).accuracy == pytest.approx(hits / tried)


def test_of_equally_accurate_ones_the_one_that_does_more_wins(validation: Validation) -> None:
    short = replace(candidate("short", 0), lengths=(0.01,))
    trials = [run_trial(validation, one) for one in (short, candidate("useless", 5))]
    rated = choose(validation, trials, 0, 1, count=2)
    assert rated[0].candidate.name == "short"
    assert rated[0].worth > rated[1].worth == 0.0


def test_styles_are_tried_as_offsets(validation: Validation) -> None:
    style = Candidate("style", torch.tensor([9.0, 0.0]), (0, 3), (1.0, 2.0), in_styles=True)
    found = rate(validation, run_trial(validation, style), 0, 1)
    assert found.accuracy == 1.0


def test_a_class_that_everybody_is_in_is_no_division_by_zero() -> None:
    validation = make_validation(LATENTS.abs(), margins)
    trial = run_trial(validation, candidate("clean", 0))
    assert rate(validation, trial, 0, 1) == replace(rate(validation, trial, 0, 1), accuracy=0.0)


def test_one_validation_sample_is_too_few() -> None:
    with pytest.raises(EditingError, match="at least 2 validation samples"):
        make_validation(LATENTS[:1], margins)
