"""gradctrl_client.rpc_errors: calls that fail without a word of the service's error model."""

from dataclasses import dataclass

import grpc
import pytest
from gradctrl_client.errors import (
    BadRequestError,
    DeadlineExceededError,
    GradCtrlError,
    InternalError,
    ServiceUnreachableError,
    UnsupportedError,
)
from gradctrl_client.rpc_errors import error_of_rpc


@dataclass(frozen=True)
class Failed:
    """What a failed call knows."""

    status: grpc.StatusCode

    def code(self) -> grpc.StatusCode:
        return self.status

    def details(self) -> str:
        return "no details"

    def trailing_metadata(self) -> None:
        return None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, ServiceUnreachableError),
        (grpc.StatusCode.CANCELLED, ServiceUnreachableError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceededError),
        (grpc.StatusCode.UNIMPLEMENTED, UnsupportedError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, BadRequestError),
        (grpc.StatusCode.INTERNAL, InternalError),
        (grpc.StatusCode.DATA_LOSS, InternalError),
    ],
)
def test_a_bare_status_has_its_exception(
    status: grpc.StatusCode, kind: type[GradCtrlError]
) -> None:
    error = error_of_rpc(Failed(status))
    assert type(error) is kind
    assert error.retry_after_s is None
    assert status.name in error.message
