"""What stands around every gRPC method of the API: metrics, errors, time, drain, access, message.

Knows no method and no message. Health and reflection pass untouched.
"""

import asyncio
import logging
import time
import uuid
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from service import metrics
from service.callers import calling_as
from service.errors import UNEXPECTED, ApiError
from service.request_ids import working_on
from service.request_log import log_access
from service.rpc_errors import (
    REQUEST_ID_KEY,
    status_code,
    status_message,
    trailing_metadata,
)
from service.tracing import rpc_span

SLACK_S = 1.0  # the handlers' own deadline comes first

logger = logging.getLogger("gradctrl.service")

# Quoted: these classes are generic in the stubs only.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour = Callable[[Any, Context], Awaitable[Any]]
# The caller's name, of the metadata of a call and the address; raises an ApiError on refusal.
Authorize = Callable[[Mapping[str, str | bytes], str], str]


class _Around(grpc.aio.ServerInterceptor):
    """Base: wraps the methods of one service, which are coroutines also where they stream."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._prefix = f"/{service}/"

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # Handler | None; the stub knows no None
        """The handler of a call, wrapped; unknown methods have none and get UNIMPLEMENTED."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(self._prefix):
            return handler
        return self.wrap(handler, method.removeprefix(self._prefix))

    @abstractmethod
    def wrap(self, handler: Handler, method: str) -> Handler:
        """The handler with something around it."""


class Identified(_Around):
    """Gives each call an id and a span; goes around everything else."""

    def wrap(self, handler: Handler, method: str) -> Handler:
        """The handler, working on a request of its own."""
        behaviour = _behaviour(handler)

        async def identified(request: Any, context: Context) -> Any:
            new_id = uuid.uuid4().hex
            context.set_trailing_metadata(((REQUEST_ID_KEY, new_id),))
            metadata = call_metadata(context)
            with working_on(new_id), rpc_span(self._service, method, metadata):
                return await behaviour(request, context)

        return _rebuilt(handler, identified)


class Measured(_Around):
    """Counts and times calls by method and status, and logs a line for each."""

    def __init__(self, service: str, has_access_lines: bool) -> None:
        super().__init__(service)
        self._has_access_lines = has_access_lines

    def wrap(self, handler: Handler, method: str) -> Handler:
        """The handler, measured."""
        behaviour = _behaviour(handler)

        async def measured(request: Any, context: Context) -> Any:
            started = time.perf_counter()
            code = grpc.StatusCode.CANCELLED  # until something else is known
            try:
                answer = await behaviour(request, context)
                code = context.code() or grpc.StatusCode.OK
                return answer
            except grpc.aio.AbortError:
                code = context.code()
                raise
            finally:
                metrics.RPCS.labels(method, _name(code)).inc()
                metrics.RPC_SECONDS.labels(method).observe(time.perf_counter() - started)
                if self._has_access_lines:
                    path = f"{self._prefix}{method}"
                    log_access("grpc", "POST", path, _name(code), started, None)

        return _rebuilt(handler, measured)


class Explained(_Around):
    """Turns what a method raises into an explained status.

    A client's cancel passes through: it is the CancelledError that somebody asked this task for.
    """

    def wrap(self, handler: Handler, method: str) -> Handler:
        """The handler with its errors explained."""
        behaviour = _behaviour(handler)

        async def explained(request: Any, context: Context) -> Any:
            try:
                return await behaviour(request, context)
            except ApiError as error:
                refused = error
            except grpc.aio.BaseError:  # aborted already, or the client is gone
                raise
            except asyncio.CancelledError:
                if _is_cancelled():
                    raise
                logger.exception("a part of %s was cancelled", method)
                refused = _internal()
            except Exception:
                logger.exception("%s failed", method)
                refused = _internal()
            metrics.REJECTED.labels(refused.code).inc()
            details = trailing_metadata(refused, request_id(context))
            return await context.abort(status_code(refused), status_message(refused), details)

        return _rebuilt(handler, explained)


class Timed(_Around):
    """Ends calls whose client reads too slowly; the handlers keep the deadline of the work."""

    def __init__(self, service: str, timeout_s: float) -> None:
        super().__init__(service)
        self._timeout_s = timeout_s

    def wrap(self, handler: Handler, method: str) -> Handler:
        """The handler within a time."""
        behaviour = _behaviour(handler)

        async def timed(request: Any, context: Context) -> Any:
            try:
                async with asyncio.timeout(self._timeout_s + SLACK_S):
                    return await behaviour(request, context)
            except TimeoutError as error:
                message = f"not read within {self._timeout_s:g} s"
                raise ApiError("deadline_exceeded", message) from error

        return _rebuilt(handler, timed)


class Open(_Around):
    """Refuses calls once the service stops; while its gRPC server does, also holds every answer.

    gRPC cancels the calls that wait to be picked up when its server stops. A client that is
    answered or refused may send its next call into that moment; one that is held up does not.
    """

    def __init__(self, service: str, expect_open: Callable[[], None]) -> None:
        super().__init__(service)
        self._expect_open = expect_open
        self._may_end = asyncio.Event()
        self._may_end.set()

    def wrap(self, handler: Handler, method: str) -> Handler:
        """The handler, while the service does not stop."""
        behaviour = _behaviour(handler)

        async def admitted(request: Any, context: Context) -> Any:
            try:
                self._expect_open()
                return await behaviour(request, context)
            finally:
                await self._may_end.wait()

        return _rebuilt(handler, admitted)

    @contextmanager
    def held(self) -> Iterator[None]:
        """No call ends meanwhile."""
        self._may_end.clear()
        try:
            yield
        finally:
            self._may_end.set()


class Authorized(_Around):
    """Asks a hook about the metadata of every call."""

    def __init__(self, service: str, authorize: Authorize) -> None:
        super().__init__(service)
        self._authorize = authorize

    def wrap(self, handler: Handler, method: str) -> Handler:
        """The handler behind the hook."""
        behaviour = _behaviour(handler)

        async def authorized(request: Any, context: Context) -> Any:
            caller = self._authorize(call_metadata(context), _address(context))
            with calling_as(caller):
                return await behaviour(request, context)

        return _rebuilt(handler, authorized)


class Read(_Around):
    """Reads the one message of a call; goes within everything else, which may refuse the call.

    gRPC reads the message of a unary request before it calls anything. It reads those of a stream
    when they are asked for, and clients cannot tell the two apart: so every method takes a stream.
    """

    def __init__(self, service: str, max_message_bytes: int) -> None:
        super().__init__(service)
        self._max_message_bytes = max_message_bytes

    def wrap(self, handler: Handler, method: str) -> Handler:
        """The handler, called with the message once it is read."""
        behaviour: Any = handler.unary_stream or handler.unary_unary
        parse = handler.request_deserializer
        assert parse is not None, "generated methods have a deserializer"

        async def read(_: Any, context: Context) -> Any:
            data = await context.read()
            return await behaviour(self._message(parse, data), context)

        return _rebuilt(handler, read)

    def _message(self, parse: Callable[[bytes], Any], data: Any) -> Any:
        """The message of bytes or of the end of a stream, or the ApiError that it deserves."""
        if data is grpc.aio.EOF:
            raise ApiError("bad_request", "a call has one message; none came", "body")
        if len(data) > self._max_message_bytes:
            raise _too_large(self._max_message_bytes)
        try:
            return parse(data)
        except (DecodeError, ValueError) as error:
            raise ApiError("bad_request", f"the message cannot be read: {error}", "body") from error


def call_metadata(context: Context) -> dict[str, str | bytes]:
    """The metadata of a call; the last of several values of a key."""
    return dict(context.invocation_metadata() or ())


def _address(context: Context) -> str:
    """The host of the peer, such as ipv4:127.0.0.1:5000."""
    return context.peer().rpartition(":")[0]


def request_id(context: Context) -> str:
    """The id that `Identified` gave the call."""
    return str(dict(context.trailing_metadata())[REQUEST_ID_KEY])


def _behaviour(handler: Handler) -> Behaviour:
    """What `Read`, or something around it, does."""
    behaviour: Any = handler.stream_stream or handler.stream_unary
    assert behaviour is not None, "Read is the innermost interceptor"
    return behaviour


def _rebuilt(handler: Handler, behaviour: Behaviour) -> Handler:
    build = (
        grpc.stream_stream_rpc_method_handler
        if handler.response_streaming
        else grpc.stream_unary_rpc_method_handler
    )
    return build(behaviour, None, handler.response_serializer)  # `Read` has the deserializer


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _name(code: Any) -> str:
    """The name of a status; the context knows it as a number until it was set."""
    return code.name if isinstance(code, grpc.StatusCode) else "OK"


def _internal() -> ApiError:
    return ApiError("internal", UNEXPECTED)


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(
        "bad_request",
        f"the request message is larger than {max_bytes} bytes",
        "body",
        [0, max_bytes],
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )
