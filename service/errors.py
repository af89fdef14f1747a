"""The error model of the API: one code, one message, the field and what it allows.

ApiError  every refusal that a client sees, over any transport
Refusal   the same as a plain value, for crossing the process border of a runner
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, Literal

Code = Literal[
    "bad_request",
    "unknown_model",
    "unknown_attribute",
    "unknown_class",
    "bad_latent",
    "bad_image",
    "image_too_large",
    "no_face",
    "several_faces",
    "no_editable_channels",
    "inversion_failed",
    "too_many_requests",
    "overloaded",
    "deadline_exceeded",
    "unauthenticated",
    "internal",
]

STATUS: dict[Code, HTTPStatus] = {
    "bad_request": HTTPStatus.BAD_REQUEST,
    "unknown_model": HTTPStatus.NOT_FOUND,
    "unknown_attribute": HTTPStatus.BAD_REQUEST,
    "unknown_class": HTTPStatus.BAD_REQUEST,
    "bad_latent": HTTPStatus.BAD_REQUEST,
    "bad_image": HTTPStatus.BAD_REQUEST,
    "image_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "no_face": HTTPStatus.UNPROCESSABLE_ENTITY,
    "several_faces": HTTPStatus.UNPROCESSABLE_ENTITY,
    "no_editable_channels": HTTPStatus.UNPROCESSABLE_ENTITY,
    "inversion_failed": HTTPStatus.UNPROCESSABLE_ENTITY,
    "too_many_requests": HTTPStatus.TOO_MANY_REQUESTS,
    "overloaded": HTTPStatus.SERVICE_UNAVAILABLE,
    "deadline_exceeded": HTTPStatus.GATEWAY_TIMEOUT,
    "unauthenticated": HTTPStatus.UNAUTHORIZED,
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
}
RETRY_AFTER_S = 1
MAX_TEXT = 1000  # characters of a message or a field, into which clients can put names of megabytes

UNEXPECTED = "the service failed on this request; see its log"


@dataclass(frozen=True)
class Refusal:
    """An error as a value; `as_payload` is what crosses a process border."""

    code: Code
    message: str
    field: str | None = None
    allowed: Sequence[Any] | None = None

    def as_payload(self) -> dict[str, Any]:
        """Plain dict for the runner's answer."""
        return {"refusal": asdict(self)}


class ApiError(Exception):
    """A refusal with its HTTP status and JSON body."""

    def __init__(
        self,
        code: Code,
        message: str,
        field: str | None = None,
        allowed: Sequence[Any] | None = None,
        status: int | None = None,  # overrides the status of the code
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.allowed = code, _shortened(message), allowed
        self.field = None if field is None else _shortened(field)
        self.status = int(STATUS[code] if status is None else status)
        self.headers = dict(headers or {})
        if code in ("overloaded", "too_many_requests"):
            self.headers.setdefault("Retry-After", str(RETRY_AFTER_S))

    def within(self, prefix: str) -> "ApiError":
        """The same refusal of a field that lies deeper in a request."""
        return self.at(None if self.field is None else f"{prefix}{self.field}")

    def at(self, field: str | None) -> "ApiError":
        """The same refusal of another field."""
        return ApiError(self.code, self.message, field, self.allowed, self.status, self.headers)

    def body(self) -> dict[str, Any]:
        """The JSON of design.md; `field` and `allowed` only where they say something."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.field is not None:
            error["field"] = self.field
        if self.allowed is not None:
            error["allowed"] = list(self.allowed)
        return {"error": error}


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 3]}..."


def raise_refusal(answer: dict[str, Any]) -> dict[str, Any]:
    """The runner's answer, or the ApiError that it carries."""
    if refusal := answer.get("refusal"):
        raise ApiError(
            refusal["code"], refusal["message"], refusal["field"], refusal.get("allowed")
        )
    return answer
