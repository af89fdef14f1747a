"""ApiErrors as gRPC statuses with the details of google.rpc. Knows no method and no message.

The code of REST is ErrorInfo.reason, as it stands there; Google's upper case would be a second
spelling of the same names.
"""

import json
from http import HTTPStatus
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from service.errors import RETRY_AFTER_S, ApiError, Code

DOMAIN = "gradctrl"
DETAILS_KEY = "grpc-status-details-bin"
REQUEST_ID_KEY = "x-request-id"
MAX_MESSAGE = 500  # characters; a client may put a model name of megabytes into a message
MAX_ALLOWED = 3000  # bytes; peers refuse trailing metadata above 8 KB

STATUS: dict[Code, grpc.StatusCode] = {
    "bad_request": grpc.StatusCode.INVALID_ARGUMENT,
    "unknown_model": grpc.StatusCode.NOT_FOUND,
    "unknown_attribute": grpc.StatusCode.INVALID_ARGUMENT,
    "unknown_class": grpc.StatusCode.INVALID_ARGUMENT,
    "bad_latent": grpc.StatusCode.INVALID_ARGUMENT,
    "bad_image": grpc.StatusCode.INVALID_ARGUMENT,
    "image_too_large": grpc.StatusCode.INVALID_ARGUMENT,
    "no_face": grpc.StatusCode.FAILED_PRECONDITION,
    "several_faces": grpc.StatusCode.FAILED_PRECONDITION,
    "no_editable_channels": grpc.StatusCode.FAILED_PRECONDITION,
    "inversion_failed": grpc.StatusCode.FAILED_PRECONDITION,
    "too_many_requests": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "overloaded": grpc.StatusCode.UNAVAILABLE,
    "deadline_exceeded": grpc.StatusCode.DEADLINE_EXCEEDED,
    "unauthenticated": grpc.StatusCode.UNAUTHENTICATED,
    "internal": grpc.StatusCode.INTERNAL,
}

Metadata = tuple[tuple[str, str | bytes], ...]


def status_code(error: ApiError) -> grpc.StatusCode:
    """The status code of an error."""
    if error.code == "bad_request" and error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return grpc.StatusCode.RESOURCE_EXHAUSTED  # as gRPC itself answers messages above a limit
    return STATUS[error.code]


def status_message(error: ApiError) -> str:
    """The error's message, short enough for a header."""
    if len(error.message) <= MAX_MESSAGE:
        return error.message
    return f"{error.message[: MAX_MESSAGE - 3]}..."


def trailing_metadata(error: ApiError, request_id: str) -> Metadata:
    """The details of an error and the id of its request."""
    code, message = status_code(error), status_message(error)
    number: int = code.value[0]
    packed = [_packed(detail) for detail in _details(error, message, request_id)]
    status = status_pb2.Status(code=number, message=message, details=packed)
    return ((REQUEST_ID_KEY, request_id), (DETAILS_KEY, status.SerializeToString()))


def _details(error: ApiError, message: str, request_id: str) -> list[Message]:
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=error.code, domain=DOMAIN, metadata=_facts(error, request_id)
        )
    ]
    if error.field is not None:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=message, reason=error.code
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if "Retry-After" in error.headers:
        delay = duration_pb2.Duration(seconds=RETRY_AFTER_S)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details


def _facts(error: ApiError, request_id: str) -> dict[str, str]:
    facts = {"request_id": request_id}
    if error.field is not None:
        facts["field"] = error.field
    if error.allowed is not None:
        facts["allowed"] = _shortened(list(error.allowed))
    return facts


def _shortened(allowed: list[Any]) -> str:
    """A JSON list of as many allowed values as fit."""
    text = json.dumps(allowed)
    while len(text) > MAX_ALLOWED:
        allowed = allowed[: len(allowed) // 2]
        text = json.dumps(allowed)
    return text


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
