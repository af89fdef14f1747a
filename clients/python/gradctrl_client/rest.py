"""The REST transport: generated endpoint functions, and exceptions for what is no answer.

Refusals become exceptions in a hook of httpx, before generated code reads a body: what a proxy
answers is not always JSON.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from gradctrl_client import answers
from gradctrl_client.calls import Call, Result
from gradctrl_client.connection import ConnectionSettings
from gradctrl_client.errors import (
    DeadlineExceededError,
    GradCtrlError,
    InternalError,
    ServiceUnreachableError,
    error_of,
)
from gradctrl_client.events import Event, EventReader
from gradctrl_client.generated import Client as Generated
from gradctrl_client.generated.api.default import (
    cancel_job,
    directions,
    edit,
    edit_image,
    generate,
    invert,
    job,
    models,
    score,
    submit_job,
)
from gradctrl_client.results import EditSummary, Frame

STREAM_PATH = "/v1/edit/stream"
READY_PATH = "/readyz"
EVENTS = "text/event-stream"
ENDPOINTS: dict[str, tuple[Any, Callable[[Any], Any]]] = {  # generated module, reader of answers
    "edit": (edit, answers.edit),
    "edit_image": (edit_image, answers.image),
    "generate": (generate, answers.generated),
    "invert": (invert, answers.inverted),
    "score": (score, answers.scores),
    "directions": (directions, answers.directions),
    "models": (models, answers.models),
    "submit_job": (submit_job, answers.job),
    "job": (job, answers.job),
    "cancel_job": (cancel_job, answers.job),
}


class RestTransport:
    """Blocking calls over one pool of connections."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self._generated = _generated(settings, _raise_refusal)
        self._http = self._generated.get_httpx_client()

    def run(self, call: Call[Result]) -> Result:
        """The answer to a call."""
        endpoint, read = ENDPOINTS[call.name]
        with _translated():
            return read(endpoint.sync_detailed(client=self._generated, **call.arguments).parsed)

    def stream(self, call: Call[Any]) -> Iterator[Frame | EditSummary]:
        """Events of an edit; the first `next` sends it, closing the iterator cancels it."""
        reader = EventReader()
        with (
            _translated(),
            self._http.stream("POST", STREAM_PATH, json=call.body.to_dict()) as response,
        ):
            _expect_events(response)
            for line in response.iter_lines():
                if (event := _event(reader.feed(line))) is not None:
                    yield event

    def is_ready(self) -> bool:
        """Whether the service answers that it is ready."""
        try:
            with _translated():
                return self._http.get(READY_PATH).is_success
        except GradCtrlError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


class AsyncRestTransport:
    """The same on an event loop."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self._generated = _generated(settings, _raise_refusal_async)
        self._http = self._generated.get_async_httpx_client()

    async def run(self, call: Call[Result]) -> Result:
        """The answer to a call."""
        endpoint, read = ENDPOINTS[call.name]
        with _translated():
            answer = await endpoint.asyncio_detailed(client=self._generated, **call.arguments)
            return read(answer.parsed)

    async def stream(self, call: Call[Any]) -> AsyncIterator[Frame | EditSummary]:
        """Events of an edit; the first `anext` sends it, closing the iterator cancels it."""
        reader = EventReader()
        with _translated():
            async with self._http.stream("POST", STREAM_PATH, json=call.body.to_dict()) as response:
                _expect_events(response)
                async for line in response.aiter_lines():
                    if (event := _event(reader.feed(line))) is not None:
                        yield event

    async def is_ready(self) -> bool:
        """Whether the service answers that it is ready."""
        try:
            with _translated():
                return (await self._http.get(READY_PATH)).is_success
        except GradCtrlError:
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _generated(settings: ConnectionSettings, hook: Callable[[httpx.Response], Any]) -> Generated:
    return Generated(
        base_url=settings.url,
        timeout=httpx.Timeout(settings.timeout_s),
        headers=dict(settings.headers),
        verify_ssl=settings.tls.context() if settings.tls else True,
        httpx_args={"event_hooks": {"response": [hook]}},
    )


def _expect_events(response: httpx.Response) -> None:
    kind = response.headers.get("content-type", "")
    if not kind.startswith(EVENTS):
        raise ValueError(f"expected {EVENTS}, got {kind or 'no content type'}")


def _event(event: Event | None) -> Frame | EditSummary | None:
    return None if event is None else answers.event(*event)


def _raise_refusal(response: httpx.Response) -> None:
    if not response.is_success:
        response.read()
        raise _refusal(response)


async def _raise_refusal_async(response: httpx.Response) -> None:
    if not response.is_success:
        await response.aread()
        raise _refusal(response)


def _refusal(response: httpx.Response) -> GradCtrlError:
    status, wait = response.status_code, _retry_after(response.headers)
    try:
        error = response.json()["error"]
        return error_of(
            error["code"],
            error["message"],
            error.get("field"),
            error.get("allowed"),
            status,
            wait,
        )
    except (ValueError, KeyError, TypeError):
        message = f"HTTP {status}: {response.text[:200]}"
        return InternalError("internal", message, status=status, retry_after_s=wait)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After; a date, which no part of GradCtrl sends, is not read."""
    try:
        return max(0.0, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return None


@contextmanager
def _translated() -> Iterator[None]:
    """Exceptions of httpx and of generated parsers as those of the client."""
    try:
        yield
    except httpx.ConnectTimeout as error:
        raise ServiceUnreachableError("unreachable", "no connection in time") from error
    except httpx.TimeoutException as error:
        message = f"no answer in time: {error or type(error).__name__}"
        raise DeadlineExceededError("deadline_exceeded", message) from error
    except (httpx.HTTPError, ssl.SSLError) as error:
        message = f"{error or type(error).__name__}"
        raise ServiceUnreachableError("unreachable", message) from error
    except (ValueError, KeyError, AttributeError) as error:
        message = f"an answer that this client does not understand: {error!r}"
        raise InternalError("internal", message) from error
