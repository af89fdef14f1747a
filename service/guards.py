"""What stands around the REST handlers: a body limit and the error model. Knows no endpoint.

Starlette calls a handler of Exception outside of every middleware, where a request has no id, no
access line and no metric: what nobody expected has a middleware of its own instead.
"""

import asyncio
import json
import logging
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import metrics
from service.errors import UNEXPECTED, ApiError
from service.http_calls import REQUEST_ID, GoneError
from service.job_schema import JOB_KINDS
from service.request_ids import current_request_id
from service.validation import expect_shallow, violation

CLIENT_GONE = 499  # as nginx logs it
BODYLESS = ("GET", "HEAD", "OPTIONS")
SMALL_BYTES = 1 << 16
CLOSE = {"Connection": "close"}  # of a refusal before the body's end, which is read otherwise

logger = logging.getLogger("gradctrl.service")


class Explained:
    """Logs and answers what nobody expected; to stand within what names and counts requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer, or an internal error."""
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if scope["type"] != "http":
                raise
            logger.exception("request failed")
            if not has_begun:  # else the server closes a connection whose answer is not whole
                await answer_error(ApiError("internal", UNEXPECTED))(scope, receive, send)


class BodyLimit:
    """Refuses bodies above a size, that take too long, or while too many bytes have no answer.

    A body stays in memory until its request is answered, and counts as long. Small ones are taken
    whatever the large ones hold: the server reads as much ahead of every connection anyway.
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int, max_unanswered_bytes: int, timeout_s: float
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_unanswered_bytes = max_unanswered_bytes
        self._timeout_s = timeout_s
        self._unanswered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer to a whole body, or a refusal."""
        if scope["type"] != "http" or scope["method"] in BODYLESS:
            await self._app(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            arrived = len(message.get("body", b""))
            size += arrived
            self._unanswered += arrived
            self._expect_room(size)
            return message

        try:
            await self._answer(scope, counted, send)
        finally:
            self._unanswered -= size

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body, then replay it to the application."""
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await _read(receive)
            _expect_shallow(scope, body)
        except (ApiError, TimeoutError) as error:
            refusal = error if isinstance(error, ApiError) else self._too_slow()
            await answer_error(refusal)(scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _replay(body, receive), send)

    def _expect_room(self, size: int) -> None:
        """ApiError for a body that has become too large, by itself or beside the others."""
        if size > self._max_bytes:
            raise self._too_large()
        others = self._unanswered - size
        if others and size > SMALL_BYTES and self._unanswered > self._max_unanswered_bytes:
            message = f"{others} bytes of other requests have no answer yet; try again"
            raise ApiError("overloaded", message, "body", headers=CLOSE)

    def _too_slow(self) -> ApiError:
        message = f"the request body did not arrive within {self._timeout_s:g} s"
        return ApiError("deadline_exceeded", message, "body", headers=CLOSE)

    def _too_large(self) -> ApiError:
        return ApiError(
            "bad_request",
            f"the request body is larger than {self._max_bytes} bytes",
            "body",
            [0, self._max_bytes],
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            CLOSE,
        )


async def _read(receive: Receive) -> bytes | None:
    """A whole body; None when the client is gone."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _expect_shallow(scope: Scope, body: bytes | None) -> None:
    """ApiError for a body of JSON with more parts than any request has."""
    if body and b"json" in dict(scope["headers"]).get(b"content-type", b"").lower():
        expect_shallow(body, "body")


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        message: MutableMapping[str, Any] = {"type": "http.request", "body": body}
        return message

    return replayed


def install_error_handlers(app: FastAPI) -> None:
    """Every error of the application answers with the body of design.md."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(GoneError, _on_gone)


def answer_error(error: ApiError) -> JSONResponse:
    """A refusal as HTTP has it, counted."""
    metrics.REJECTED.labels(error.code).inc()
    request_id = current_request_id()
    headers = {**error.headers, **({} if request_id is None else {REQUEST_ID: request_id})}
    return _Ascii(error.body(), status_code=error.status, headers=headers)


class _Ascii(JSONResponse):
    """JSON in ASCII: an error may quote half a surrogate pair, which has no UTF-8."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode()


async def _on_api_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return answer_error(error)


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, bytes):  # FastAPI left it so: its type is not JSON
        sent = request.headers.get("content-type", "none")
        message = f"the body is JSON, with a content-type that says so; got {sent}"
        return answer_error(ApiError("bad_request", message, "content-type", ["application/json"]))
    return answer_error(violation(error.errors(), skipped=1, tags=JOB_KINDS))


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    return answer_error(ApiError("bad_request", str(error.detail), status=status, headers=headers))


async def _on_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)  # read by nobody
