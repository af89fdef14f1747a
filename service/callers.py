"""Whose API key the call that is being answered carries. Knows nothing about transports or keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_CURRENT: ContextVar[str] = ContextVar("caller", default="")


def current_caller() -> str:
    """The name of the key; empty where the service has no keys, or outside of a call."""
    return _CURRENT.get()


@contextmanager
def calling_as(name: str) -> Iterator[None]:
    """Everything within is for the caller of that name."""
    token = _CURRENT.set(name)
    try:
        yield
    finally:
        _CURRENT.reset(token)
