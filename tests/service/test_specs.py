"""service/specs.py: what needs no server to be checked."""

import pytest

from service.errors import ApiError
from service.schema import ScoreBody
from service.specs import ServedCard, score_starts
from tests.doubles import Z_DIM, make_card


def test_a_model_without_attributes_cannot_score() -> None:
    body = ScoreBody(latents=[[0.0] * Z_DIM])
    with pytest.raises(ApiError, match="'plain' has no attributes"):
        score_starts(ServedCard("gradctrl-plain:1", make_card("plain", attributes=()), {}), body)
    score_starts(ServedCard("gradctrl-tiny:1", make_card(), {}), body)
