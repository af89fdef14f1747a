"""BentoML's limit on the time of a request, with a timer that ends with the request.

BentoML leaves the timer of every request until it would have rung, and with it what belongs to the
request: 17 kB of an edit for ten minutes, so 200 MB at 20 edits a second. This is the one file that
knows its private name.
"""

import asyncio
from http import HTTPStatus

from bentoml._internal.server.http import traffic
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestTimer:
    """Answers 504 for a request whose answer has not begun in time."""

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self._app = app
        self._timeout_s = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer, or the refusal."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s) as limit:

                async def begun(message: Message) -> None:
                    limit.reschedule(None)  # an answer that has begun may take its time
                    await send(message)

                await self._app(scope, receive, begun)
        except TimeoutError:
            if not limit.expired():
                raise
            body = {"error": f"not answered within {self._timeout_s:g} s"}
            await JSONResponse(body, HTTPStatus.GATEWAY_TIMEOUT)(scope, receive, send)


def end_timers_with_requests() -> None:
    """Have the applications that BentoML builds from now on use this timer."""
    traffic.TimeoutMiddleware = RequestTimer  # type: ignore[misc, assignment]
