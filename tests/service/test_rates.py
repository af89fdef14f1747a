"""service/rates.py: a window that moves, callers apart from each other, and who is forgotten."""

import pytest

from service.rates import MovingWindow
from tests.doubles import Hand

DAY_S = 86_400.0


def test_a_window_moves_with_its_calls() -> None:
    clock = Hand()
    window = MovingWindow(2, 60.0, clock)
    assert window.wait_s("a") == 0
    clock.forward(30)
    assert window.wait_s("a") == 0
    assert window.wait_s("a") == 30  # until the first is out of it
    assert window.wait_s("b") == 0
    clock.forward(30)
    assert window.wait_s("a") == 0
    assert window.wait_s("a") == 30


def test_a_refused_call_is_not_counted() -> None:
    clock = Hand()
    window = MovingWindow(1, 10.0, clock)
    assert window.wait_s("a") == 0
    for _ in range(9):
        clock.forward(1)
        assert window.wait_s("a") > 0
    clock.forward(1)
    assert window.wait_s("a") == 0


def test_callers_are_forgotten_with_their_last_call() -> None:
    clock = Hand()
    window = MovingWindow(3, 10.0, clock)
    for number in range(1000):
        window.wait_s(str(number))
    clock.forward(5)
    window.wait_s("7")
    assert window.callers == 1000
    clock.forward(6)
    window.wait_s("new")
    assert window.callers == 2  # and caller 7, who called later than the others
    assert [window.wait_s("7") for _ in range(3)] == [0, 0, 5 - 1]


@pytest.mark.parametrize("jump_s", [-DAY_S, DAY_S])
def test_the_time_of_day_changes_nothing(monkeypatch: pytest.MonkeyPatch, jump_s: float) -> None:
    window = MovingWindow(1, 60.0)
    assert window.wait_s("a") == 0
    monkeypatch.setattr("time.time", lambda: jump_s)
    assert 0 < window.wait_s("a") <= 60
