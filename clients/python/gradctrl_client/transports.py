"""What carries calls: REST or gRPC, chosen by the URL. Only `grpc` URLs load gRPC."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol
from urllib.parse import urlsplit

from gradctrl_client.calls import Call, Result
from gradctrl_client.connection import ConnectionSettings
from gradctrl_client.rest import AsyncRestTransport, RestTransport
from gradctrl_client.results import EditSummary, Frame

REST_SCHEMES = ("http", "https")
RPC_SCHEMES = ("grpc", "grpcs")


class Transport(Protocol):
    """Blocking calls."""

    def run(self, call: Call[Result]) -> Result:
        """The answer to a call."""

    def stream(self, call: Call[Any]) -> Iterator[Frame | EditSummary]:
        """Frames of an edit, then its summary."""

    def is_ready(self) -> bool:
        """Whether the service is ready."""

    def close(self) -> None:
        """Close the connections."""


class AsyncTransport(Protocol):
    """The same on an event loop."""

    async def run(self, call: Call[Result]) -> Result:
        """The answer to a call."""

    def stream(self, call: Call[Any]) -> AsyncIterator[Frame | EditSummary]:
        """Frames of an edit, then its summary."""

    async def is_ready(self) -> bool:
        """Whether the service is ready."""

    async def close(self) -> None:
        """Close the connections."""


def open_transport(settings: ConnectionSettings) -> Transport:
    """The transport of a URL."""
    if _is_rpc(settings.url):
        return _rpc().RpcTransport(settings)
    return RestTransport(settings)


def open_async_transport(settings: ConnectionSettings) -> AsyncTransport:
    """The transport of a URL, for an event loop."""
    if _is_rpc(settings.url):
        return _rpc().AsyncRpcTransport(settings)
    return AsyncRestTransport(settings)


def _rpc() -> Any:
    try:
        return importlib.import_module("gradctrl_client.rpc")
    except ModuleNotFoundError as error:
        message = f"grpc:// needs gRPC: pip install 'gradctrl-client[grpc]' ({error})"
        raise ModuleNotFoundError(message, name=error.name) from error


def _is_rpc(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme not in REST_SCHEMES + RPC_SCHEMES or not parts.hostname:
        schemes = ", ".join(f"{scheme}://" for scheme in REST_SCHEMES + RPC_SCHEMES)
        raise ValueError(f"expected a URL with a host and one of {schemes}; got {url!r}")
    return parts.scheme in RPC_SCHEMES
