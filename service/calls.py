"""What a transport knows of a call beside its body. Knows nothing about HTTP or gRPC."""

import uuid
from dataclasses import dataclass, field

from service.callers import current_caller


@dataclass(frozen=True)
class Call:
    """One call of a client."""

    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    timeout_s: float | None = None  # the client's own
    ceiling_s: float | None = None  # above which no timeout goes; default: that of the settings
    idempotency_key: str | None = None
    caller: str = field(default_factory=current_caller)  # whose idempotency key it is
