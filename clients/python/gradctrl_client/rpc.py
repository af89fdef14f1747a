"""The gRPC transport: `pip install gradctrl-client[grpc]`, `Client("grpc://host:3001")`.

`grpc://` is plain text, `grpcs://` is TLS. It carries edits, streams, inversions, generate, score
and models; the REST API has the rest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from gradctrl_client import rpc_messages as messages
from gradctrl_client.calls import Call, Result
from gradctrl_client.connection import ConnectionSettings, Tls
from gradctrl_client.errors import UnsupportedError
from gradctrl_client.results import EditSummary, Frame
from gradctrl_client.rpc_errors import error_of_rpc
from gradctrl_client.wire.edit_pb2_grpc import EditServiceStub

READY_TIMEOUT_S = 5.0
DEFAULT_PORT = 3001
OPTIONS = (("grpc.max_receive_message_length", -1),)  # answers are as large as their images


@dataclass(frozen=True)
class _Method:
    name: str  # of the stub
    request: Callable[[Any], Any]
    result: Callable[[Any], Any]  # of the answer, or of the last message of a stream
    is_stream: bool = False


METHODS = {
    "edit": _Method("Edit", messages.edit_request, messages.edit_result),
    "generate": _Method("Generate", messages.generate_request, messages.generated),
    "invert": _Method("Invert", messages.invert_request, messages.inverted, is_stream=True),
    "score": _Method("Score", messages.score_request, messages.scores),
    "models": _Method("ListModels", messages.models_request, messages.models),
}


class RpcTransport:
    """Blocking calls over one channel."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings
        address, credentials = _address(settings), _credentials(settings)
        if credentials is None:
            self._channel = grpc.insecure_channel(address, OPTIONS)
        else:
            self._channel = grpc.secure_channel(address, credentials, OPTIONS)
        self._stub: Any = _stub(self._channel)

    def run(self, call: Call[Result]) -> Result:
        """The answer to a call."""
        method = _method(call)
        request = method.request(call.body)
        with _translated():
            answer = getattr(self._stub, method.name)(request, **_options(self._settings, call))
            if method.is_stream:
                *_, answer = answer
        return method.result(answer)

    def stream(self, call: Call[Any]) -> Iterator[Frame | EditSummary]:
        """Events of an edit; the first `next` sends it, closing the iterator cancels it."""
        request = messages.edit_stream_request(call.body)
        events = self._stub.EditStream(request, **_options(self._settings, call))
        try:
            with _translated():
                for message in events:
                    yield messages.event(message)
        finally:
            events.cancel()

    def is_ready(self) -> bool:
        """Whether the service's health answers SERVING."""
        stub: Any = health_pb2_grpc.HealthStub(self._channel)
        try:
            return _is_serving(stub.Check(health_pb2.HealthCheckRequest(), timeout=READY_TIMEOUT_S))
        except grpc.RpcError:
            return False

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


class AsyncRpcTransport:
    """The same on an event loop, whose channel is made by the first call."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings
        self._opened: grpc.aio.Channel | None = None

    async def run(self, call: Call[Result]) -> Result:
        """The answer to a call."""
        method = _method(call)
        request = method.request(call.body)
        stub = _stub(self._channel())
        with _translated():
            asked = getattr(stub, method.name)(request, **_options(self._settings, call))
            if method.is_stream:
                *_, answer = [message async for message in asked]
            else:
                answer = await asked
        return method.result(answer)

    async def stream(self, call: Call[Any]) -> AsyncIterator[Frame | EditSummary]:
        """Events of an edit; the first `anext` sends it, closing the iterator cancels it."""
        stub = _stub(self._channel())
        request = messages.edit_stream_request(call.body)
        events = stub.EditStream(request, **_options(self._settings, call))
        try:
            with _translated():
                async for message in events:
                    yield messages.event(message)
        finally:
            events.cancel()

    async def is_ready(self) -> bool:
        """Whether the service's health answers SERVING."""
        stub: Any = health_pb2_grpc.HealthStub(self._channel())
        request = health_pb2.HealthCheckRequest()
        try:
            return _is_serving(await stub.Check(request, timeout=READY_TIMEOUT_S))
        except grpc.RpcError:
            return False

    async def close(self) -> None:
        """Close the channel."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    def _channel(self) -> grpc.aio.Channel:
        if self._opened is None:
            address, credentials = _address(self._settings), _credentials(self._settings)
            if credentials is None:
                self._opened = grpc.aio.insecure_channel(address, OPTIONS)
            else:
                self._opened = grpc.aio.secure_channel(address, credentials, OPTIONS)
        return self._opened


def _method(call: Call[Any]) -> _Method:
    if call.name not in METHODS:
        message = f"gRPC has no {call.name}; use http://"
        raise UnsupportedError("unsupported", message, allowed=sorted(METHODS))
    return METHODS[call.name]


def _stub(channel: grpc.Channel | grpc.aio.Channel) -> Any:
    return EditServiceStub(channel)  # type: ignore[no-untyped-call]


def _options(settings: ConnectionSettings, call: Call[Any]) -> dict[str, Any]:
    metadata = [(name.lower(), value) for name, value in settings.headers.items()]
    if call.idempotency_key is not None:
        metadata.append(("idempotency-key", call.idempotency_key))
    return {"timeout": settings.timeout_s, "metadata": metadata}


def _address(settings: ConnectionSettings) -> str:
    parts = urlsplit(settings.url)
    host = parts.hostname or ""
    return f"{f'[{host}]' if ':' in host else host}:{parts.port or DEFAULT_PORT}"


def _credentials(settings: ConnectionSettings) -> grpc.ChannelCredentials | None:
    if urlsplit(settings.url).scheme == "grpc":
        return None
    tls = settings.tls or Tls()
    return grpc.ssl_channel_credentials(*tls.contents())


def _is_serving(answer: health_pb2.HealthCheckResponse) -> bool:
    return answer.status == health_pb2.HealthCheckResponse.SERVING


@contextmanager
def _translated() -> Iterator[None]:
    """gRPC's errors as those of the client."""
    try:
        yield
    except grpc.RpcError as error:
        raise error_of_rpc(error) from error
