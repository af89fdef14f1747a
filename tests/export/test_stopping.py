"""export/stopping.py: the first signal asks, the second ends."""

import signal
from collections.abc import Iterator

import pytest

from export.stopping import stop_on_signal


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Ctrl-C raises, as in a terminal: a process started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signal() as should_stop:
        assert not should_stop()
        signal.raise_signal(number)
        assert should_stop()
        assert signal.getsignal(number) == before  # a second one does what it always did
    assert signal.getsignal(number) == before


def test_nothing_is_left_behind() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signal() as should_stop:
        pass
    assert not should_stop()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before
