"""Traces of requests, if somebody collects them: spans with names, ids, outcomes and codes, and nothing else.

- Nothing depends on it: unless the environment says where spans go, every call here does nothing and loads nothing.
- No secret is ever passed to it: no signature, no reason, no SQL, no error message.
- Its configuration may hold secrets, so a failure to set it up is reported by its type and place, never by its message.
- If the collector is away, spans are lost and nothing else happens: a thread of its own sends them.

Source: W3C Trace Context (`traceparent`); OTLP over HTTP, by OpenTelemetry's own library, the extra `aerodb[otel]`.
"""

import logging
import os
import threading
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal

from aerodb import __version__
from aerodb.errors import AeroError
from aerodb.logs import say

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider  # Only annotated here: see the docstring.

SpanKind = Literal["internal", "server", "client"]
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
HEADER = "traceparent"
ATTRIBUTE_CHARACTERS_MAX = 256
FLUSH_SECONDS_MAX = 2.0
"""How long a process that ends waits for its last spans to be accepted."""


class _Traces:
    """Spans made and sent by OpenTelemetry."""

    def __init__(self, provider: "TracerProvider") -> None:
        """Make spans with `provider`, whose own thread sends them."""
        from opentelemetry import context, trace  # noqa: PLC0415 - see the module's docstring.
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        self._context, self._trace = context, trace
        self._provider = provider
        self._tracer = provider.get_tracer("aerodb", __version__)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(self, name: str, kind: SpanKind, attributes: Mapping[str, str]) -> Iterator[None]:
        """Make the block a span; a failure marks the span with its code, never with its message."""
        with self._tracer.start_as_current_span(
            name, kind=self._trace.SpanKind[kind.upper()], record_exception=False, set_status_on_exception=False
        ):
            self.note(attributes)
            try:
                yield
            except Exception as error:
                self.fail(error)
                raise

    def note(self, attributes: Mapping[str, str]) -> None:
        """Add attributes to the current span; empty ones are left out."""
        said = {f"aerodb.{name}": value for name, value in attributes.items() if value}
        self._trace.get_current_span().set_attributes(said)

    def fail(self, error: Exception) -> None:
        """Mark the current span as failed, with the error's code."""
        self.note({"code": error.code if isinstance(error, AeroError) else type(error).__name__})
        self._trace.get_current_span().set_status(self._trace.StatusCode.ERROR)

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Name the current span in `headers`."""
        found: dict[str, str] = {}
        self._propagator.inject(found)
        if HEADER in found:
            headers[HEADER] = found[HEADER]

    @contextmanager
    def extract(self, headers: Mapping[str, str]) -> Iterator[None]:
        """Make spans inside the block children of the one that `headers` name."""
        named = {HEADER: headers.get(HEADER, "")}
        token = self._context.attach(self._propagator.extract(named, self._context.Context()))
        try:
            yield
        finally:
            self._context.detach(token)

    def finish(self) -> None:
        """Send the remaining spans; those that the collector does not accept in time are lost."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(FLUSH_SECONDS_MAX)


_active: list[_Traces] = []


def configure(service: str, cluster: str, instance: str) -> str:
    """Trace from now on, if the environment says where to; if that fails, return why.

    A process that cannot trace says so in its own log, if it has one, and goes on.
    """
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return ""
    # In a process without a log, Python would print the library's warnings, and with them parts of its configuration.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        _active[:] = [_Traces(_provider(service, cluster, instance))]
    except ImportError as error:
        say("traces are configured and not made: the extra aerodb[otel] is not installed", missing=error.name or "")
        return "the extra aerodb[otel] is not installed"
    except Exception as error:  # noqa: BLE001 - whatever the environment holds, no process fails for its traces
        where = traceback.extract_tb(error.__traceback__)[-1].name
        say("traces are configured and not made", failed=type(error).__name__, where=where)
        return f"{type(error).__name__} in {where}"
    return ""


def _provider(service: str, cluster: str, instance: str) -> "TracerProvider":
    """Return what makes spans and sends them in batches, configured by OpenTelemetry's environment variables."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = {"service.name": service, "service.version": __version__}
    named |= {"service.instance.id": instance} | ({"service.namespace": cluster} if cluster else {})
    provider = TracerProvider(
        resource=Resource.create(named),
        span_limits=SpanLimits(max_attribute_length=ATTRIBUTE_CHARACTERS_MAX),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def finish() -> None:
    """Send the remaining spans when a process ends; wait at most FLUSH_SECONDS_MAX."""
    for traces in _active:
        traces.finish()
    _active.clear()


def span(name: str, *, kind: SpanKind = "internal", **attributes: str) -> AbstractContextManager[None]:
    """Make the block a span called `name`, a child of the current one."""
    for traces in _active:
        return traces.span(name, kind, attributes)
    return nullcontext()


def note(**attributes: str) -> None:
    """Add attributes to the current span."""
    for traces in _active:
        traces.note(attributes)


def fail(error: Exception) -> None:
    """Mark the current span as failed by an error that was handled inside it."""
    for traces in _active:
        traces.fail(error)


def inject(headers: MutableMapping[str, str]) -> None:
    """Name the current span in the headers of a call that is about to be made."""
    for traces in _active:
        traces.inject(headers)


def extract(headers: Mapping[str, str]) -> AbstractContextManager[None]:
    """Make spans inside the block children of the caller's span, if the headers of a call name one."""
    for traces in _active:
        return traces.extract(headers)
    return nullcontext()
