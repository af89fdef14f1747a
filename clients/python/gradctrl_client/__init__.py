"""Client of the GradCtrl image editing service."""

from gradctrl_client.async_client import AsyncClient
from gradctrl_client.client import Client
from gradctrl_client.connection import Tls
from gradctrl_client.errors import (
    BadImageError,
    BadLatentError,
    BadRequestError,
    DeadlineExceededError,
    GradCtrlError,
    ImageTooLargeError,
    InternalError,
    InversionFailedError,
    JobCancelledError,
    NoEditableChannelsError,
    NoFaceError,
    OverloadedError,
    ServiceUnreachableError,
    SeveralFacesError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnknownAttributeError,
    UnknownClassError,
    UnknownModelError,
    UnsupportedError,
)
from gradctrl_client.results import AppliedEdit, Edit, EditSummary, Frame, Generated, Inverted, Job
from gradctrl_client.streams import AsyncEditStream, EditStream

__all__ = [
    "AppliedEdit",
    "AsyncClient",
    "AsyncEditStream",
    "BadImageError",
    "BadLatentError",
    "BadRequestError",
    "Client",
    "DeadlineExceededError",
    "Edit",
    "EditStream",
    "EditSummary",
    "Frame",
    "Generated",
    "GradCtrlError",
    "ImageTooLargeError",
    "InternalError",
    "InversionFailedError",
    "Inverted",
    "Job",
    "JobCancelledError",
    "NoEditableChannelsError",
    "NoFaceError",
    "OverloadedError",
    "ServiceUnreachableError",
    "SeveralFacesError",
    "Tls",
    "TooManyRequestsError",
    "UnauthenticatedError",
    "UnknownAttributeError",
    "UnknownClassError",
    "UnknownModelError",
    "UnsupportedError",
]
