"""The id of the request that this code works on. Knows nothing about transports or logs."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_CURRENT: ContextVar[str | None] = ContextVar("request_id", default=None)


def current_request_id() -> str | None:
    """The id, or None outside of a request."""
    return _CURRENT.get()


@contextmanager
def working_on(request_id: str) -> Iterator[None]:
    """Everything within works on the request, also tasks that start there."""
    token = _CURRENT.set(request_id)
    try:
        yield
    finally:
        _CURRENT.reset(token)
