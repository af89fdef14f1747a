# ruff: noqa: N802 - methods are named as in the proto
"""The gRPC API: parse, call, answer. Knows nothing about tensors or HTTP.

One grpc.aio server in each API process: BentoML's own gRPC does not serve new-style services.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]

from service.calls import Call
from service.handlers import Handlers
from service.interceptors import (
    Authorize,
    Authorized,
    Context,
    Explained,
    Identified,
    Measured,
    Open,
    Read,
    Timed,
    call_metadata,
    request_id,
)
from service.rpc_answers import (
    edit_response,
    generate_response,
    invert_response,
    models_response,
    score_response,
    stream_response,
)
from service.rpc_requests import edit_values, generate_values, invert_values, score_values
from service.schema import EditBody, GenerateBody, InvertBody, ScoreBody
from service.settings import Settings
from service.validation import parse
from service.wire import edit_pb2 as wire
from service.wire import edit_pb2_grpc as wire_grpc

SERVICE = wire.DESCRIPTOR.services_by_name["EditService"].full_name
IDEMPOTENCY_KEY = "idempotency-key"
STREAMS_PER_CONNECTION = 128  # further calls of one client wait on its side
SETTLE_S = 0.3  # between the steps of a stop
KEEPALIVE_MS = 30_000  # a client that vanished is noticed, and its work stops

StopRpc = Callable[[float], Awaitable[None]]


class EditServicer(wire_grpc.EditServiceServicer):
    """The methods of edit.proto on the handlers that REST calls as well."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    async def Edit(self, request: wire.EditRequest, context: Context) -> wire.EditResponse:
        """All frames of an edit in one answer."""
        body = parse(EditBody, edit_values(request))
        return edit_response(await self._handlers.edit(body, _call(context)))

    async def EditStream(self, request: wire.EditStreamRequest, context: Context) -> None:
        """Frames as they are rendered, then the summary.

        A write returns when the client's window has room, so a slow reader holds up the rendering.
        """
        body = parse(EditBody, edit_values(request.edit))
        events = self._handlers.edit_stream(body, _call(context))
        async with aclosing(self._handlers.engine.gate.streamed(events)) as streamed:
            async for event in streamed:
                await context.write(stream_response(event))

    async def Generate(
        self, request: wire.GenerateRequest, context: Context
    ) -> wire.GenerateResponse:
        """Images and latents of seeds, or images of latents."""
        body = parse(GenerateBody, generate_values(request))
        return generate_response(await self._handlers.generate(body, _call(context)))

    async def Score(self, request: wire.ScoreRequest, context: Context) -> wire.ScoreResponse:
        """Class probabilities of latents."""
        body = parse(ScoreBody, score_values(request))
        return score_response(await self._handlers.score(body, _call(context)))

    async def Invert(self, request: wire.InvertRequest, context: Context) -> None:
        """Progress of an inversion, then its result."""
        body = parse(InvertBody, invert_values(request))
        events = self._handlers.invert(body, _call(context))
        async with aclosing(self._handlers.engine.gate.streamed(events)) as streamed:
            async for event in streamed:
                await context.write(invert_response(event))

    async def ListModels(
        self, request: wire.ListModelsRequest, context: Context
    ) -> wire.ListModelsResponse:
        """The served cards."""
        return models_response(self._handlers.models())


async def start_rpc(
    handlers: Handlers, config: Settings, authorize: Authorize | None = None
) -> StopRpc:
    """Serve on the port of the settings; answers what stops it within a grace in seconds."""
    open_door = Open(SERVICE, handlers.engine.gate.expect_open)
    server = grpc.aio.server(
        interceptors=_interceptors(config, open_door, authorize),
        options=_options(config.max_upload_bytes),
    )
    wire_grpc.add_EditServiceServicer_to_server(EditServicer(handlers), server)  # type: ignore[no-untyped-call]
    checks = health.aio.HealthServicer()
    await checks.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    reflection.enable_server_reflection(
        (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    _bind(server, config)
    await server.start()

    async def stop(grace_s: float) -> None:
        await checks.enter_graceful_shutdown()
        with open_door.held():
            await asyncio.sleep(SETTLE_S)  # calls on their way are picked up by now
            stopping = asyncio.ensure_future(server.stop(grace_s))
            await asyncio.sleep(SETTLE_S)  # and connections told
        await stopping

    return stop


def _interceptors(
    config: Settings, open_door: Open, authorize: Authorize | None
) -> list[grpc.aio.ServerInterceptor]:
    """From the outermost to the innermost."""
    around: list[grpc.aio.ServerInterceptor] = [
        Identified(SERVICE),
        Measured(SERVICE, config.access_log),
        Explained(SERVICE),
        Timed(SERVICE, config.timeout_s),
        open_door,
    ]
    if authorize is not None:
        around.append(Authorized(SERVICE, authorize))
    return [*around, Read(SERVICE, config.max_upload_bytes)]


def _options(max_message_bytes: int) -> list[tuple[str, Any]]:
    return [
        ("grpc.so_reuseport", 1),  # every API worker listens on the same port
        # Somewhat too large messages are read, so that their refusal can be explained.
        ("grpc.max_receive_message_length", 2 * max_message_bytes),
        ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 3),
    ]


def _bind(server: grpc.aio.Server, config: Settings) -> None:
    host = f"[{config.grpc_host}]" if ":" in config.grpc_host else config.grpc_host
    address = f"{host}:{config.grpc_port}"
    if config.grpc_tls_cert is None or config.grpc_tls_key is None:
        server.add_insecure_port(address)
        return
    pair = (config.grpc_tls_key.read_bytes(), config.grpc_tls_cert.read_bytes())
    clients = _read(config.grpc_tls_client_ca)
    credentials = grpc.ssl_server_credentials(
        [pair], root_certificates=clients, require_client_auth=clients is not None
    )
    server.add_secure_port(address, credentials)


def _read(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()


def _call(context: Context) -> Call:
    key = call_metadata(context).get(IDEMPOTENCY_KEY)
    return Call(
        request_id=request_id(context),
        timeout_s=context.time_remaining(),  # None without a deadline, whatever the stub says
        idempotency_key=None if key is None else str(key),
    )
