"""A collector of traces: a real OTLP/HTTP receiver on this machine, which keeps what it is sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, kw_only=True)
class Received:
    """One span, as it arrived."""

    trace: str
    id: str
    parent: str
    name: str
    service: str
    instance: str
    failed: bool
    attributes: dict[str, str]


class Collector(ThreadingHTTPServer):
    """Takes POST /v1/traces."""

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []

    @property
    def endpoint(self) -> str:
        """Return what OTEL_EXPORTER_OTLP_ENDPOINT must be."""
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> list[Received]:
        """Return every span that has arrived."""
        found = []
        for body in self.bodies:
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = {each.key: each.value.string_value for each in group.resource.attributes}
                found += [
                    Received(
                        trace=span.trace_id.hex(), id=span.span_id.hex(), parent=span.parent_span_id.hex(),
                        name=span.name, service=resource["service.name"], instance=resource["service.instance.id"],
                        failed=span.status.code == span.status.STATUS_CODE_ERROR,
                        attributes={each.key: each.value.string_value for each in span.attributes},
                    )
                    for scope in group.scope_spans for span in scope.spans
                ]  # fmt: skip
        return found


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        """Keep a body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            self.server.bodies.append(body)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200 if self.path == "/v1/traces" else 404)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()
