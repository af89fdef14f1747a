"""HTTP around a handler: the call's headers, disconnects, entity tags. Knows no endpoint.

These POSTs are safe queries with a body, so `If-None-Match` answers 304 as it does for GET.
"""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from service.calls import Call
from service.handlers import Handlers
from service.idempotency import FIELD, MAX_KEY_LENGTH

REQUEST_ID = "X-Request-ID"
KEY_NOTE = "a retry with the same key and body gets the first answer; with another body a refusal"
TAG_NOTE = "the ETag of an earlier answer to the same request; 304 if it still holds"

Result = TypeVar("Result")


# Coroutines, because FastAPI sends a plain function to a thread and waits for it.
async def handlers_of(request: Request) -> Handlers:
    """The handlers that the service set on the application."""
    return request.app.state.handlers


async def plain_call(request: Request) -> Call:
    """A call without an idempotency key."""
    return Call(request_id=request.state.request_id)


async def retryable_call(
    request: Request,
    key: Annotated[
        str | None,
        Header(alias=FIELD, min_length=1, max_length=MAX_KEY_LENGTH, description=KEY_NOTE),
    ] = None,
) -> Call:
    """A call that a client may repeat."""
    return Call(request_id=request.state.request_id, idempotency_key=key)


HandlersOf = Annotated[Handlers, Depends(handlers_of)]
PlainCall = Annotated[Call, Depends(plain_call)]
RetryableCall = Annotated[Call, Depends(retryable_call)]
KnownTag = Annotated[str | None, Header(alias="If-None-Match", description=TAG_NOTE)]


class GoneError(Exception):
    """The client went away; nobody reads an answer."""


async def while_connected(request: Request, work: Awaitable[Result]) -> Result:
    """The result of `work`, which is cancelled when the client goes away."""
    task = asyncio.ensure_future(_await(work))
    gone = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise GoneError
        return task.result()
    finally:
        gone.cancel()
        task.cancel()  # nothing to a task that is done
        await asyncio.wait({task, gone})


async def _await(work: Awaitable[Result]) -> Result:
    return await work


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def entity_tag(name: str) -> str:
    """A weak ETag: it promises the same images, latents and scores, not the same bytes.

    Their last bits depend on what is not known before the work: the device and the processor that
    do it, and the size of their batches.
    """
    return f'W/"{name}"'


def is_known(known: str | None, tag: str) -> bool:
    """Whether an If-None-Match names the tag; weakly compared, as RFC 9110 has it."""
    if known is None:
        return False
    given = [one.strip().removeprefix("W/") for one in known.split(",")]
    return tag.removeprefix("W/") in given


def not_modified(call: Call, tag: str) -> Response:
    """The client has this answer already."""
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers(call.request_id, tag))


def json_answer(
    answer: BaseModel, request_id: str, tag: str | None = None, status: int = HTTPStatus.OK
) -> Response:
    """An answer model as JSON; models are valid by construction and not validated again."""
    return Response(
        answer.model_dump_json(), status, headers(request_id, tag), media_type="application/json"
    )


def headers(request_id: str, tag: str | None = None) -> dict[str, str]:
    """Headers of an answer."""
    return {REQUEST_ID: request_id, **({} if tag is None else {"ETag": tag})}
