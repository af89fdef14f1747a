"""A streamed edit in the caller's hands: frames to iterate, then the summary."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any

from gradctrl_client.errors import ServiceUnreachableError
from gradctrl_client.results import Edit, EditSummary, Frame, whole_edit

ENDED_EARLY = "the stream ended before its summary"


def expect_begun(first: Frame | EditSummary | None) -> Frame | EditSummary:
    """The first event of a stream; one without any was lost on its way."""
    if first is None:
        raise ServiceUnreachableError("unreachable", ENDED_EARLY)
    return first


class EditStream:
    """Frames as they are rendered; `summary` is there after the last one.

    Leaving the `with` block, or `close`, before the end stops the work that is left.
    """

    def __init__(self, first: Frame | EditSummary, rest: Iterator[Frame | EditSummary]) -> None:
        self._next: Frame | EditSummary | None = first
        self._rest = rest
        self.summary: EditSummary | None = None

    def __enter__(self) -> EditStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        if self.summary is not None:
            raise StopIteration
        event = self._next or next(self._rest, None)
        self._next = None
        if isinstance(event, Frame):
            return event
        if event is None:
            raise ServiceUnreachableError("unreachable", ENDED_EARLY)
        self.summary = event
        self.close()
        raise StopIteration

    def collect(self) -> Edit:
        """The rest of the stream as the answer that `edit` would have given."""
        frames = list(self)
        assert self.summary is not None, "iteration ends with the summary"
        return whole_edit(self.summary, frames)

    def close(self) -> None:
        """End the stream."""
        _close(self._rest)


class AsyncEditStream:
    """The same on an event loop."""

    def __init__(
        self, first: Frame | EditSummary, rest: AsyncIterator[Frame | EditSummary]
    ) -> None:
        self._next: Frame | EditSummary | None = first
        self._rest = rest
        self.summary: EditSummary | None = None

    async def __aenter__(self) -> AsyncEditStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        if self.summary is not None:
            raise StopAsyncIteration
        event = self._next or await anext(self._rest, None)
        self._next = None
        if isinstance(event, Frame):
            return event
        if event is None:
            raise ServiceUnreachableError("unreachable", ENDED_EARLY)
        self.summary = event
        await self.close()
        raise StopAsyncIteration

    async def collect(self) -> Edit:
        """The rest of the stream as the answer that `edit` would have given."""
        frames = [frame async for frame in self]
        assert self.summary is not None, "iteration ends with the summary"
        return whole_edit(self.summary, frames)

    async def close(self) -> None:
        """End the stream."""
        await _close(self._rest, "aclose")


def _close(events: Any, name: str = "close") -> Any:
    return getattr(events, name)()
