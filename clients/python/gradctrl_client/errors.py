"""What the client raises. Knows the codes of the API, not how they travel.

GradCtrlError                  `code`, `message`, `field`, `allowed`, `status`, `retry_after_s`
├── BadRequestError            bad_request: the request itself, or a job that does not exist
├── UnknownModelError          unknown_model
├── UnknownAttributeError      unknown_attribute
├── UnknownClassError          unknown_class
├── BadLatentError             bad_latent
├── BadImageError              bad_image
├── ImageTooLargeError         image_too_large
├── NoFaceError                no_face: in the photo
├── SeveralFacesError          several_faces: `allowed` lists their boxes
├── NoEditableChannelsError    no_editable_channels
├── InversionFailedError       inversion_failed
├── TooManyRequestsError       too_many_requests
├── OverloadedError            overloaded
├── DeadlineExceededError      deadline_exceeded: by the service's clock or by the client's
├── UnauthenticatedError       unauthenticated
├── InternalError              internal: the service failed, or answered what nobody understands
├── JobCancelledError          cancelled: somebody cancelled the job
├── UnsupportedError           unsupported: this transport does not carry the call
└── ServiceUnreachableError    unreachable: no answer from the service
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class GradCtrlError(Exception):
    """A refusal of the service, or the lack of an answer."""

    def __init__(
        self,
        code: str,
        message: str,
        field: str | None = None,
        allowed: Sequence[Any] | None = None,
        status: int | None = None,  # of HTTP
        retry_after_s: float | None = None,  # set where the service says that later may do
    ) -> None:
        super().__init__(code, message, field, allowed, status, retry_after_s)
        self.code = code
        self.message = message
        self.field = field
        self.allowed = None if allowed is None else list(allowed)
        self.status = status
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        """The code, the message and the field to blame."""
        return f"{self.code}: {self.message}" + (f" (field {self.field})" if self.field else "")


class BadRequestError(GradCtrlError):
    """The request breaks the schema, or names a job that does not exist or is over."""


class UnknownModelError(GradCtrlError):
    """No such model is served; `allowed` lists those that are."""


class UnknownAttributeError(GradCtrlError):
    """The model has no such attribute; `allowed` lists those that it has."""


class UnknownClassError(GradCtrlError):
    """The attribute has no such class; `allowed` lists those that it has."""


class BadLatentError(GradCtrlError):
    """The latent has the wrong shape or is no list of finite numbers."""


class BadImageError(GradCtrlError):
    """The image cannot be read or used."""


class ImageTooLargeError(GradCtrlError):
    """The image, or the message that holds it, is too large."""


class NoFaceError(GradCtrlError):
    """The photo shows no face that the model could be aligned to."""


class SeveralFacesError(GradCtrlError):
    """The photo shows more than one face; `allowed` lists their boxes."""


class NoEditableChannelsError(GradCtrlError):
    """The exclusions mask every channel that would move."""


class InversionFailedError(GradCtrlError):
    """No latent gives this image."""


class TooManyRequestsError(GradCtrlError):
    """This client asks too often; the client retries after `retry_after_s`."""


class OverloadedError(GradCtrlError):
    """The service has no room now; the client retries after `retry_after_s`."""


class DeadlineExceededError(GradCtrlError):
    """The answer was not ready in time."""


class UnauthenticatedError(GradCtrlError):
    """The service wants to know who asks."""


class InternalError(GradCtrlError):
    """The service failed on this request."""


class JobCancelledError(GradCtrlError):
    """The job was cancelled before it had a result."""


class UnsupportedError(GradCtrlError):
    """This transport does not carry this call."""


class ServiceUnreachableError(GradCtrlError):
    """The service did not answer."""


ERRORS: dict[str, type[GradCtrlError]] = {
    "bad_request": BadRequestError,
    "unknown_model": UnknownModelError,
    "unknown_attribute": UnknownAttributeError,
    "unknown_class": UnknownClassError,
    "bad_latent": BadLatentError,
    "bad_image": BadImageError,
    "image_too_large": ImageTooLargeError,
    "no_face": NoFaceError,
    "several_faces": SeveralFacesError,
    "no_editable_channels": NoEditableChannelsError,
    "inversion_failed": InversionFailedError,
    "too_many_requests": TooManyRequestsError,
    "overloaded": OverloadedError,
    "deadline_exceeded": DeadlineExceededError,
    "unauthenticated": UnauthenticatedError,
    "internal": InternalError,
    "cancelled": JobCancelledError,
    "unsupported": UnsupportedError,
    "unreachable": ServiceUnreachableError,
}


def error_of(
    code: str,
    message: str,
    field: str | None = None,
    allowed: Sequence[Any] | None = None,
    status: int | None = None,
    retry_after_s: float | None = None,
) -> GradCtrlError:
    """The exception of a code; GradCtrlError itself for codes newer than this client."""
    kind = ERRORS.get(code, GradCtrlError)
    return kind(code, message, field, allowed, status, retry_after_s)
