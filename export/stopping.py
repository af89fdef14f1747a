"""Stops long work between two steps, where it can save what it has. Knows nothing about it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signal() -> Iterator[Callable[[], bool]]:
    """A question that is answered with yes after SIGTERM or SIGINT; a second one ends the process.

    For the main thread alone.
    """
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        restore()

    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield lambda: bool(received)
    finally:
        restore()
