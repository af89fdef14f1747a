"""BentoML's own HTTP series with a bounded endpoint label, and /metrics. Knows no endpoint.

BentoML labels with the path as it came, so that a client could create as many series as it knows
paths. Its middleware is therefore off for the API (service/app.py) and goes around the application
here, where it sees the paths that exist and one name for all others.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from bentoml._internal.configuration.containers import BentoMLContainer
from bentoml._internal.server.http.instruments import RunnerTrafficMetricsMiddleware
from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Receive, Scope, Send

from service.metric_files import forget_dead_processes

UNKNOWN = "/unknown"
NAMESPACE = "bentoml_service"  # as BentoML has it
_PATH = "gradctrl.path"


class CountedPaths:
    """Counts and times requests by path, where `paths` holds it, else by one name."""

    def __init__(self, app: ASGIApp, paths: Iterable[str]) -> None:
        self._paths = frozenset(paths)
        self._counted = RunnerTrafficMetricsMiddleware(_restored(app), namespace=NAMESPACE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer, counted."""
        if "path" in scope:
            path = scope["path"]
            known = path if path in self._paths else UNKNOWN
            scope = {**scope, "path": known, _PATH: path}
        await self._counted(scope, receive, send)


def _restored(app: ASGIApp) -> ASGIApp:
    async def with_path(scope: Scope, receive: Receive, send: Send) -> None:
        if _PATH in scope:
            scope = {**scope, "path": scope[_PATH]}
        await app(scope, receive, send)

    return with_path


async def metrics_page() -> Response:
    """The series of this process tree, as Prometheus reads them."""
    return Response(await asyncio.to_thread(_render), media_type=CONTENT_TYPE_LATEST)


def _render() -> bytes:
    forget_dead_processes()
    client: Any = BentoMLContainer.metrics_client.get()
    return bytes(client.generate_latest())
