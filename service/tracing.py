"""OpenTelemetry: where spans go, and spans of our own around runner calls. Knows no endpoint.

BentoML makes a span for every HTTP request of every service and passes the trace on to its
runners; it needs to be told the collector. gRPC calls get their span here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bentoml._internal.configuration.containers import BentoMLContainer
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from service.errors import ApiError
from service.request_ids import current_request_id
from service.settings import Settings

UNTRACED = ["livez", "readyz", "healthz", "metrics"]
_EVERYTHING = ["."]  # every URL: a span that nobody wants costs as much as one that is sent
TIMEOUT_S = 5


def tracing_of(config: Settings) -> dict[str, Any]:
    """BentoML's tracing configuration of a service; nothing is sent without an endpoint."""
    if not config.otlp_endpoint:
        return {"sample_rate": 0.0, "excluded_urls": _EVERYTHING}
    return {
        "exporter_type": "otlp",
        "sample_rate": config.trace_sample_rate,
        "timeout": TIMEOUT_S,
        "excluded_urls": UNTRACED,
        "otlp": {"protocol": "http", "endpoint": config.otlp_endpoint},
    }


@contextmanager
def runner_span(runner: str, method: str) -> Iterator[Span]:
    """A span around a call of a runner, with the id of the request."""
    with _span(f"{runner}.{method}", SpanKind.CLIENT, None) as span:
        yield span


@contextmanager
def rpc_span(service: str, method: str, metadata: Mapping[str, str | bytes]) -> Iterator[Span]:
    """A span around a gRPC call, in the trace of its caller if there is one."""
    texts = {name: value for name, value in metadata.items() if isinstance(value, str)}
    parent = propagate.extract(texts)
    with _span(f"{service}/{method}", SpanKind.SERVER, parent) as span:
        yield span


@contextmanager
def _span(name: str, kind: SpanKind, parent: Context | None) -> Iterator[Span]:
    """A current span; of an error only its code is noted, as its message may quote the client."""
    tracer: Tracer = BentoMLContainer.tracer_provider.get().get_tracer("gradctrl")
    with tracer.start_as_current_span(
        name, parent, kind, record_exception=False, set_status_on_exception=False
    ) as span:
        request_id = current_request_id()
        if request_id is not None:
            span.set_attribute("gradctrl.request_id", request_id)
        try:
            yield span
        except BaseException as error:
            code = error.code if isinstance(error, ApiError) else type(error).__name__
            span.set_status(Status(StatusCode.ERROR, code))
            raise
