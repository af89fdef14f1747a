"""service/tracing.py: a collector sees one trace across the processes of a request."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.util.http import ExcludeList

from model_store import StoredModel
from service.settings import Settings
from service.tracing import tracing_of
from tests.pods import running_cluster, seconds_until
from tests.rpc_calls import edit_request, stub_of
from tests.servers import free_port

CALLER = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{CALLER}-b7ad6b7169203331-01"


class Collector:
    """An OTLP collector over real HTTP that keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []  # with the service's name
        spans = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                request = ExportTraceServiceRequest.FromString(body)
                for group in request.resource_spans:
                    names = {one.key: one.value.string_value for one in group.resource.attributes}
                    for scope in group.scope_spans:
                        spans.extend((names["service.name"], span) for span in scope.spans)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    @contextmanager
    def running(self) -> Iterator["Collector"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        yield self
        self._server.shutdown()
        thread.join()
        self._server.server_close()

    def of(self, trace_id: str) -> dict[str, tuple[str, Span]]:
        """Spans of a trace by name, without the parts of a request that ASGI reports."""
        return {
            span.name: (service, span)
            for service, span in list(self.spans)
            if span.trace_id.hex() == trace_id and span.kind != Span.SPAN_KIND_INTERNAL
        }


def request_id_of(span: Span) -> str:
    return next(
        one.value.string_value for one in span.attributes if one.key == "gradctrl.request_id"
    )


def expect_both_hops(found: dict[str, tuple[str, Span]], first: str, request_id: str) -> None:
    """The API's span, its calls of both runners, and the runners' own, one below the other."""
    service, root = found[first]
    assert service == "edit_service"
    for runner, method in (("classifier", "walk"), ("generator", "render")):
        caller, call = found[f"{runner}.{method}"]
        answerer, work = found[f"POST /{method}"]
        assert (caller, answerer) == ("edit_service", f"{runner}_runner")
        assert call.parent_span_id == root.span_id
        assert work.parent_span_id == call.span_id
        assert request_id_of(call) == request_id


@pytest.mark.slow
def test_both_hops_of_rest_and_grpc_are_in_the_trace_of_the_caller(
    tiny: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    port = free_port()
    body = {"source": {"seed": 4}, "edits": [{"attribute": "smile", "target": "smiling"}]}
    with (
        Collector().running() as collector,
        running_cluster(
            bentoml_home,
            tmp_path,
            generators=1,
            GRADCTRL_MODELS="tiny",
            GRADCTRL_GRPC_PORT=str(port),
            GRADCTRL_OTLP_ENDPOINT=collector.url,
        ) as cluster,
    ):
        answer = httpx.post(
            f"{cluster.api.url}/v1/edit", json=body, headers={"traceparent": PARENT}
        )
        assert answer.status_code == 200, answer.text
        rest_id = answer.headers["x-request-id"]
        other = CALLER[::-1]
        metadata = [("traceparent", PARENT.replace(CALLER, other))]
        with stub_of(f"127.0.0.1:{port}") as stub:
            _, call = stub.Edit.with_call(edit_request(seed=5), metadata=metadata)
            grpc_id = dict(call.trailing_metadata())["x-request-id"]
        refused = httpx.post(f"{cluster.api.url}/v1/edit", json={**body, "model": "nobody"})
        seconds_until(lambda: len(collector.of(CALLER)) >= 5 and len(collector.of(other)) >= 5)
    expect_both_hops(collector.of(CALLER), "POST /v1/edit", rest_id)
    expect_both_hops(collector.of(other), "gradctrl.v1.EditService/Edit", grpc_id)
    assert refused.status_code == 404
    assert not [span for _, span in collector.spans if "readyz" in span.name]


def test_nothing_is_sent_unless_asked() -> None:
    silent = tracing_of(Settings())
    assert silent["sample_rate"] == 0
    assert ExcludeList(silent["excluded_urls"]).url_disabled("http://localhost:3000/v1/edit")
    asked = tracing_of(Settings(otlp_endpoint="http://collector:4318/v1/traces"))
    assert asked["otlp"]["endpoint"] == "http://collector:4318/v1/traces"
    assert asked["sample_rate"] == 1.0
