"""Around every HTTP request: its id, and one access line when it is answered.

Knows no endpoint, and logs neither bodies nor query strings.
"""

import logging
import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logs import ACCESS, FIELDS
from service.request_ids import working_on

MAX_PATH = 100

logger = logging.getLogger(ACCESS)


class RequestLog:
    """Gives each request an id, under which everything it causes is logged."""

    def __init__(self, app: ASGIApp, has_access_lines: bool) -> None:
        self._app = app
        self._has_access_lines = has_access_lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        with working_on(request_id):
            if self._has_access_lines:
                await self._logged(scope, receive, send)
            else:
                await self._app(scope, receive, send)

    async def _logged(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status, sent = 0, 0

        async def watched(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            path = f"{scope['path'][:MAX_PATH]}"
            log_access("http", scope["method"], path, str(status), started, sent)


def log_access(
    transport: str, method: str, path: str, status: str, started: float, bytes_sent: int | None
) -> None:
    """One line about an answered call; `started` is on the clock of time.perf_counter."""
    fields = {
        "transport": transport,
        "method": method,
        "path": path,
        "status": status,
        "ms": round((time.perf_counter() - started) * 1000, 2),
        "bytes_sent": bytes_sent,
    }
    logger.info("%s %s %s", method, path, status, extra={FIELDS: fields})
