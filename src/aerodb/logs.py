"""A service's own log: one line per event on standard output, as JSON or for people.

- Nothing depends on it: without `configure` nothing is written, and a line that cannot be written is dropped.
- No secret is ever passed to it: no password, no key, no signature, no plan.
- A line about a request carries the request's id.
- A library's warning is counted, and written only the 1st, 10th, 100th time and so on, so that nobody who can provoke
  warnings can fill the disk.
- From a library that is configured with secrets, no text that it was given is written.

structlog is loaded only by daemons that log.
"""

import logging
import sys
import threading
from collections import Counter
from contextlib import suppress
from typing import Any, Literal

Form = Literal["text", "json"]
_loggers: list[Any] = []
_TOLD = "aerodb_told"
"""The attribute that marks an exception that was already written with its traceback."""


CONFIGURED_WITH_SECRETS = frozenset({"opentelemetry", "requests", "urllib3"})
"""Libraries that log parts of their configuration that they cannot parse, such as headers and URLs with passwords."""


def _spared(given: object) -> object:
    """Return a number as it is, of an error its type, and of anything else nothing."""
    if given is None or isinstance(given, (int, float)):
        return given
    return type(given).__name__ if isinstance(given, BaseException) else "..."


def _sparing(record: logging.LogRecord) -> str:
    """Return a record's message without the texts that were interpolated."""
    given = record.args if isinstance(record.args, tuple) else ()
    try:
        return str(record.msg) % tuple(_spared(each) for each in given)
    except (TypeError, ValueError):
        return str(record.msg)


def is_told(times: int) -> bool:
    """Tell whether something that has now happened `times` times is written again: at each power of ten."""
    return str(times).strip("0") == "1"


class KindTally:
    """Counts how often each kind of thing happened; beyond `kinds_max` kinds, each group's new ones count as one."""

    def __init__(self, kinds_max: int) -> None:
        """Begin at zero."""
        self._kinds_max = kinds_max
        self._lock = threading.Lock()
        self._times = Counter[tuple[str, str]]()

    def count(self, group: str, kind: str) -> int:
        """Count one more, and return the new count of this kind."""
        with self._lock:
            if (group, kind) not in self._times and len(self._times) >= self._kinds_max:
                kind = ""
            self._times[group, kind] += 1
            return self._times[group, kind]

    def by_group(self) -> dict[str, int]:
        """Return the count of each group."""
        found = Counter[str]()
        with self._lock:
            for (group, _), times in self._times.items():
                found[group] += times
        return dict(found)


class _Libraries(logging.Handler):
    """Writes what libraries log in the same form, so that all output is whole lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Count one record, and write it if `is_told` says so."""
        failed = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        times = warnings.count(record.name.partition(".")[0], f"{record.msg} {failed}")
        if is_told(times):
            self._say(record, {"times": times} if times > 1 else {})

    @staticmethod
    def _say(record: logging.LogRecord, more: dict[str, Any]) -> None:
        """Write one record; the web server repeats failures, whose traceback is not written a second time."""
        if record.name.partition(".")[0] in CONFIGURED_WITH_SECRETS:
            kind = record.exc_info[0] if record.exc_info else None
            failed = kind.__name__ if kind else ""
            say("library warns", library=record.name, message=_sparing(record), failed=failed, **more)
            return
        failure = record.exc_info[1] if record.exc_info else None
        if failure is not None and _TOLD in failure.__dict__:
            failure = None
        say("library warns", failure=failure, library=record.name, message=record.getMessage(), **more)


warnings = KindTally(500)
"""What libraries warned of since the process started, by library."""
_libraries = _Libraries(logging.WARNING)


def configure(form: Form, service: str) -> None:
    """Write all later events to standard output, as `service`."""
    # structlog imports rich if that is installed, for a terminal that a daemon does not have: 5 MB in each agent.
    loaded: dict[str, Any] = sys.modules
    hidden = [name for name in ("rich", "better_exceptions") if name not in loaded]
    loaded.update(dict.fromkeys(hidden))
    import structlog  # noqa: PLC0415 - see the module's docstring.

    for name in hidden:
        del loaded[name]
    rendered: Any = structlog.processors.JSONRenderer(sort_keys=True)
    if form == "text":
        rendered = structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        )
    processors: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        *([structlog.processors.format_exc_info] if form == "json" else []),
        rendered,
    ]
    logger = structlog.wrap_logger(structlog.PrintLogger(sys.stdout), processors=processors)
    _loggers[:] = [logger.bind(service=service)]
    logging.getLogger().addHandler(_libraries)


def say(event: str, *, failure: BaseException | None = None, **fields: object) -> None:
    """Write that `event` happened; `failure` is an exception to be written with its traceback."""
    if failure is not None:
        failure.__dict__[_TOLD] = True
    for logger in _loggers:
        with suppress(OSError, ValueError):
            if failure is None:
                logger.info(event, **fields)
            else:
                logger.error(event, exc_info=failure, **fields)
