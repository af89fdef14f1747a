"""BentoML's client of a runner at an address. The one file that knows its private name.

`bentoml.depends` makes the same client, but for one address only.
"""

from typing import Any

from _bentoml_impl.client import RemoteProxy

from service.endpoints import Connect

PICKLE = "application/vnd.bentoml+pickle"  # JSON makes other dtypes of arrays, and is slow


class BentoRunnerClient:
    """Calls the methods of one runner process."""

    def __init__(self, url: str, service: Any) -> None:
        self._client: Any = RemoteProxy(url, service=service, media_type=PICKLE).to_async

    async def call(self, name: str, payload: dict[str, Any]) -> Any:
        """The answer of a method."""
        return await self._client.call(name, payload)

    async def is_ready(self, timeout: int | None = None) -> bool:
        """Whether the process answers that it is ready."""
        return bool(await self._client.is_ready(timeout))

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()


def connect_to(service: Any) -> Connect:
    """What makes a client of the service's process at an address."""
    return lambda url: BentoRunnerClient(url, service)
