"""How a client connects. Reads no environment."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Tls:
    """Files of a private certificate authority, and of a client certificate where one is asked."""

    ca_file: str | Path | None = None  # default: the authorities of the system
    cert_file: str | Path | None = None
    key_file: str | Path | None = None

    def context(self) -> ssl.SSLContext:
        """As httpx wants it."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def contents(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """As gRPC wants it: authorities, key, certificate."""
        files = (self.ca_file, self.key_file, self.cert_file)
        authorities, key, certificate = (
            None if file is None else Path(file).read_bytes() for file in files
        )
        return authorities, key, certificate


@dataclass(frozen=True)
class ConnectionSettings:
    """Where the service is and how long to wait for it."""

    url: str
    timeout_s: float = DEFAULT_TIMEOUT_S
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: Tls | None = None


def with_key(headers: Mapping[str, str] | None, api_key: str | None) -> Mapping[str, str]:
    """The headers of every call; a key replaces another authorization."""
    given = dict(headers or {})
    if api_key is None:
        return given
    kept = {name: value for name, value in given.items() if name.lower() != "authorization"}
    return {**kept, "authorization": f"Bearer {api_key}"}
