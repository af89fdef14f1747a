"""What a failed gRPC call says: the details of the service, or the bare status code."""

from __future__ import annotations

import json
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from gradctrl_client.errors import GradCtrlError, error_of

DETAILS = "grpc-status-details-bin"
CODES = {  # of calls that failed before or beside the service's own error model
    grpc.StatusCode.UNAVAILABLE: "unreachable",
    grpc.StatusCode.DEADLINE_EXCEEDED: "deadline_exceeded",
    grpc.StatusCode.CANCELLED: "unreachable",  # not by this client: by a server that stops
    grpc.StatusCode.UNAUTHENTICATED: "unauthenticated",
    grpc.StatusCode.UNIMPLEMENTED: "unsupported",
    grpc.StatusCode.INVALID_ARGUMENT: "bad_request",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "bad_request",  # a message above the size limit, as in REST
}


def error_of_rpc(error: Any) -> GradCtrlError:  # a grpc.Call or grpc.aio.AioRpcError
    """The exception that REST would have raised."""
    details = dict(error.trailing_metadata() or ()).get(DETAILS)
    if details is None:
        code = CODES.get(error.code(), "internal")
        return error_of(code, f"{error.code().name}: {error.details()}")
    status = status_pb2.Status.FromString(details)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    wait: float | None = None
    for detail in status.details:
        if detail.Unpack(retry):
            wait = retry.retry_delay.ToTimedelta().total_seconds()
        else:
            detail.Unpack(info)
    allowed = info.metadata.get("allowed")
    return error_of(
        info.reason,
        status.message,
        info.metadata.get("field"),
        None if allowed is None else json.loads(allowed),
        retry_after_s=wait,
    )
