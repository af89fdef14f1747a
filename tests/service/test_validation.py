"""service/validation.py: a refusal costs no more than the request that it refuses."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from service.schema import EditBody
from service.validation import SHOWN, violation


class Long(list[Any]):
    """A list that must not be read to its end."""

    def __iter__(self) -> Iterator[Any]:
        yield from range(SHOWN)
        raise AssertionError("far more than is shown")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, "null"),
        ("smile", '"smile"'),
        ({"top_k": [1, 2.5]}, '{"top_k": [1, 2.5]}'),
        (Long([0]), "[0, 1, 2"),
        ("x" * 1000, '"xxx'),
    ],
)
def test_a_refusal_shows_the_beginning_of_a_value(given: Any, shown: str) -> None:
    error = {"type": "model_type", "loc": ("body",), "msg": "wrong", "input": given}
    message = violation([error]).message
    assert message.startswith(f"wrong; got {shown}")
    assert len(message) <= len("wrong; got ") + SHOWN


def test_many_wrong_exclusions_are_one_error() -> None:
    edit = {"attribute": "smile", "target": "smiling", "exclude": [1] * 1000}
    with pytest.raises(ValidationError) as caught:
        EditBody.model_validate({"source": {"seed": 1}, "edits": [edit]})
    assert caught.value.error_count() == 1
