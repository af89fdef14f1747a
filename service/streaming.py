"""Server-sent events: one per frame as it is rendered, then the summary. Knows no model.

A frame is asked for when the one before it was taken: a slow reader holds up its own rendering
and keeps its place among the streams, no more, and its stream ends with its deadline. A reader that
goes away ends it at once.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service import metrics
from service.answer_schema import EditSummary, FrameAnswer
from service.errors import ApiError
from service.http_calls import headers

logger = logging.getLogger("gradctrl.service")

MEDIA_TYPE = "text/event-stream"
EVENT_SCHEMA = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["frame", "summary", "error"]},
        "data": {"type": "string", "description": "JSON", "contentMediaType": "application/json"},
    },
}
GRACE_S = 1.0  # beyond its deadline, for the error event of a reader that still reads
Event = FrameAnswer | EditSummary


class EventStream(Response):
    """Sends events while they come, within a time."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        first: Event,
        events: AsyncGenerator[Event, None],
        request_id: str,
        timeout_s: float,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers({**headers(request_id), "Cache-Control": "no-store"})
        self._first = first
        self._events = events
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, the deadline or the reader's leave, whichever is first."""
        sending = asyncio.create_task(self._send_all(send))
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait(
                {sending, gone}, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.wait({sending, gone})
            await self._events.aclose()
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await _send(send, event_text(self._first))
        try:
            async for event in self._events:
                await _send(send, event_text(event))
        except ApiError as error:
            await _send(send, error_text(error))
        except OSError:  # the reader's connection broke
            return
        except Exception as error:
            logger.error("a stream failed", exc_info=error)
            await _send(
                send, error_text(ApiError("internal", "the service failed on this request"))
            )
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def event_text(event: Event) -> str:
    """A frame or the summary as one event."""
    name = "frame" if isinstance(event, FrameAnswer) else "summary"
    return f"event: {name}\ndata: {event.model_dump_json()}\n\n"


def error_text(error: ApiError) -> str:
    """An error after the first frame as an event with the usual body."""
    metrics.REJECTED.labels(error.code).inc()
    return f"event: error\ndata: {json.dumps(error.body())}\n\n"


async def _send(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _until_gone(receive: Receive) -> None:
    message: Any = {"type": ""}
    while message["type"] != "http.disconnect":
        message = await receive()
