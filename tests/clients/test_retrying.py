"""gradctrl_client.retrying: which errors are worth another try, and when."""

import pytest
from gradctrl_client.errors import (
    BadRequestError,
    DeadlineExceededError,
    GradCtrlError,
    OverloadedError,
    ServiceUnreachableError,
)
from gradctrl_client.retrying import Retrying

BUSY = OverloadedError("overloaded", "full", retry_after_s=2.0)
LOST = ServiceUnreachableError("unreachable", "refused")


def test_never_earlier_than_the_service_asks_for() -> None:
    waits = [Retrying().wait_s(BUSY, tries, 0.0, True) for tries in (1, 2, 3)]
    assert all(wait is not None and wait >= 2 for wait in waits)


def test_waits_double_and_differ() -> None:
    retrying = Retrying(retries=20, budget_s=1e9)
    for tries, longest in ((1, 0.1), (2, 0.2), (4, 0.8), (20, 10.0)):
        waits = {retrying.wait_s(LOST, tries, 0.0, True) for _ in range(20)}
        assert len(waits) > 1
        assert all(wait is not None and longest / 2 <= wait <= longest for wait in waits)


@pytest.mark.parametrize(
    "error",
    [
        BadRequestError("bad_request", "no"),
        DeadlineExceededError("deadline_exceeded", "late"),
        OverloadedError("overloaded", "a message that is too large, and always will be"),
    ],
)
def test_what_would_fail_again_stands(error: GradCtrlError) -> None:
    assert Retrying().wait_s(error, 1, 0.0, True) is None


def test_limits() -> None:
    assert Retrying(retries=2).wait_s(BUSY, 3, 0.0, True) is None
    assert Retrying(retries=0).wait_s(BUSY, 1, 0.0, True) is None
    assert Retrying(budget_s=10).wait_s(BUSY, 1, 8.5, True) is None


def test_what_may_have_happened_is_not_repeated_where_it_matters() -> None:
    assert Retrying().wait_s(LOST, 1, 0.0, False) is None
    assert Retrying().wait_s(BUSY, 1, 0.0, False) is not None  # a refusal did nothing
