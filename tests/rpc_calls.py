"""A client of the gRPC API as a user would write one: a channel, the stub, the error details."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status  # type: ignore[import-untyped]

from service.wire import edit_pb2 as wire
from service.wire import edit_pb2_grpc as wire_grpc

UNLIMITED = [("grpc.max_receive_message_length", -1)]


@dataclass(frozen=True)
class Refused:
    """What a client reads from a refusal."""

    status: grpc.StatusCode
    message: str
    code: str | None  # of ErrorInfo
    field: str | None
    allowed: list[Any] | None
    violation: str | None  # field of BadRequest
    retry_s: int | None
    metadata: dict[str, str]


@contextmanager
def stub_of(address: str) -> Iterator[Any]:
    """A stub on a channel of its own."""
    with grpc.insecure_channel(address, options=UNLIMITED) as channel:
        yield wire_grpc.EditServiceStub(channel)  # type: ignore[no-untyped-call]


def refused(error: Any) -> Refused:  # grpc.RpcError that is a call
    """The details of a refusal, by the public grpcio-status."""
    status = rpc_status.from_call(error)
    info, request, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    found = {
        type(kind).__name__
        for detail in (status.details if status else ())
        for kind in (info, request, retry)
        if detail.Unpack(kind)
    }
    facts = dict(info.metadata)
    return Refused(
        error.code(),
        error.details(),
        info.reason or None,
        facts.get("field"),
        json.loads(facts["allowed"]) if "allowed" in facts else None,
        request.field_violations[0].field if "BadRequest" in found else None,
        retry.retry_delay.seconds if "RetryInfo" in found else None,
        {key: value for key, value in error.trailing_metadata() if isinstance(value, str)},
    )


def edit_request(
    seed: int = 7, attribute: str = "smile", target: str = "smiling", steps: int = 8, **more: Any
) -> wire.EditRequest:
    """An edit of a seed."""
    edit = wire.AttributeEdit(attribute=attribute, target=target, steps=steps)
    return wire.EditRequest(source=wire.Source(seed=seed), edits=[edit], **more)
