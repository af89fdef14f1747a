"""service/specs.py: what needs no server to be checked."""

import pytest

from service.errors import ApiError
from service.specs import ServedCard, expect_attributes
from tests.doubles import make_card


def test_a_model_without_attributes_cannot_score() -> None:
    with pytest.raises(ApiError, match="'plain' has no attributes"):
        expect_attributes(ServedCard("gradctrl-plain:1", make_card("plain", attributes=())))
    expect_attributes(ServedCard("gradctrl-tiny:1", make_card()))
