"""What stands around the REST handlers: a body limit and the error model. Knows no endpoint."""

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
from service.errors import ApiError
from service.http_calls import REQUEST_ID, GoneError
from service.job_schema import JOB_KINDS
from service.request_ids import current_request_id
from service.validation import violation

CLIENT_GONE = 499  # as nginx logs it
BODYLESS = ("GET", "HEAD", "OPTIONS")
CLOSE = {"Connection": "close"}  # of a refusal before the body's end, which is read otherwise

logger = logging.getLogger("gradctrl.service")


class BodyLimit:
    """Refuses bodies above a size, or that take too long; counts the bytes that arrive."""

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body, then replay it to the application."""
        if scope["type"] != "http" or scope["method"] in BODYLESS:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._read(receive)
        except (ApiError, TimeoutError) as error:
            refusal = error if isinstance(error, ApiError) else self._too_slow()
            await answer_error(refusal)(scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The body; None when the client is gone."""
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max_bytes:
                raise self._too_large()
        return bytes(body)

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
    app.add_exception_handler(Exception, _on_unexpected)


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


async def _on_unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("request failed", exc_info=error)
    return answer_error(ApiError("internal", "the service failed on this request; see its log"))
