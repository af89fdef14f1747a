"""What the client raises.

GradCtrlError                the service refused; `code`, `field`, `allowed`, `status` say why
└── ServiceUnreachableError  no answer from the service
"""

from __future__ import annotations

from typing import Any


class GradCtrlError(Exception):
    """A refusal of the service."""

    def __init__(
        self,
        code: str,
        message: str,
        field: str | None = None,
        allowed: list[Any] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}" + (f" (field {field})" if field else ""))
        self.code = code
        self.message = message
        self.field = field
        self.allowed = allowed
        self.status = status


class ServiceUnreachableError(GradCtrlError):
    """The service did not answer."""
