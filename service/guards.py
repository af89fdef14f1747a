"""What stands around the REST handlers: a body limit and the error model. Knows no endpoint."""

import json
import logging
import re
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import metrics
from service.errors import ApiError

logger = logging.getLogger("gradctrl.service")


class BodyLimit:
    """Refuses bodies above a size, counting the bytes that arrive rather than trusting headers."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body, then replay it to the application."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max_bytes:
                await _answer(self._too_large())(scope, receive, send)
                return
        await self._app(scope, _replay(bytes(body), receive), send)

    def _too_large(self) -> ApiError:
        return ApiError(
            "bad_request",
            f"the request body is larger than {self._max_bytes} bytes",
            "body",
            [0, self._max_bytes],
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
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
    app.add_exception_handler(Exception, _on_unexpected)


def _answer(error: ApiError) -> JSONResponse:
    metrics.REJECTED.labels(error.code).inc()
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)


async def _on_api_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return _answer(error)


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return _answer(ApiError("bad_request", _message(first), _field(first["loc"]), _allowed(first)))


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    return _answer(ApiError("bad_request", str(error.detail), status=status, headers=headers))


async def _on_unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("request failed", exc_info=error)
    return _answer(ApiError("internal", "the service failed on this request; see its log"))


def _field(location: tuple[int | str, ...]) -> str:
    """("body", "edits", 0, "steps") as edits[0].steps."""
    field = ""
    for part in location[1:]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}"
    return field.lstrip(".") or "body"


def _message(error: MutableMapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"the body is not JSON: {error.get('ctx', {}).get('error', '')}"
    given = json.dumps(error.get("input"), default=str)
    shown = given if len(given) <= 80 else f"{given[:77]}..."
    return f"{error['msg']}; got {shown}"


def _allowed(error: MutableMapping[str, Any]) -> list[Any] | None:
    """Bounds or literals of a pydantic error, where it has them."""
    context = error.get("ctx", {})
    if "expected" in context:
        return re.findall(r"'([^']*)'", str(context["expected"])) or None
    bounds = {"ge", "gt", "le", "lt", "min_length", "max_length"} & context.keys()
    return [f"{name} {context[name]}" for name in sorted(bounds)] or None
