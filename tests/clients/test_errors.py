"""gradctrl_client.errors: one exception per code of the service."""

import pickle
from typing import get_args

import pytest
from gradctrl_client.errors import ERRORS, GradCtrlError, error_of

from service.errors import Code

OF_THE_CLIENT = {"cancelled", "unsupported", "unreachable"}


def test_every_code_of_the_service_has_its_exception() -> None:
    assert ERRORS.keys() == set(get_args(Code)) | OF_THE_CLIENT
    assert len(set(ERRORS.values())) == len(ERRORS)
    assert all(issubclass(kind, GradCtrlError) for kind in ERRORS.values())


@pytest.mark.parametrize("code", [*ERRORS, "of_a_newer_service"])
def test_they_survive_a_process_border(code: str) -> None:
    error = error_of(code, "no", "source", ["seed"], 400, 2.0)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == f"{code}: no (field source)"
