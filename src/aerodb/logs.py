"""What a daemon says of itself: one line an event on standard output, as JSON or for people.

- Nothing depends on it: where nobody asked for logs nothing is said, and one that cannot be written is dropped.
- No secret is ever handed to it: no password, no key, no signature, no plan.
- Whatever concerns a request carries its id.
- What a library warns of is counted, and a line like any other at its first, its tenth, its hundredth time: whoever can
  make a library warn fills no disk.
- Of a library that is configured with secrets nothing is said of any text that it was given.

structlog is loaded by a daemon that logs, and by nothing else.
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
"""What marks an exception that was told with its traceback."""


CONFIGURED_WITH_SECRETS = frozenset({"opentelemetry", "requests", "urllib3"})
"""Libraries that print what they cannot read of their configuration: of headers and addresses, so of passwords."""


def _spared(given: object) -> object:
    """Return a number as it is, an error's kind, and nothing of any text."""
    if given is None or isinstance(given, (int, float)):
        return given
    return type(given).__name__ if isinstance(given, BaseException) else "..."


def _sparing(record: logging.LogRecord) -> str:
    """Return what a record says, without any text that was put into it."""
    given = record.args if isinstance(record.args, tuple) else ()
    try:
        return str(record.msg) % tuple(_spared(each) for each in given)
    except (TypeError, ValueError):
        return str(record.msg)


def is_told(times: int) -> bool:
    """Tell whether what has happened so many times is told again: at each power of ten."""
    return str(times).strip("0") == "1"


class KindTally:
    """How often each of a few kinds of things happened; the kinds that come late are counted as one."""

    def __init__(self, kinds_max: int) -> None:
        """Begin at zero."""
        self._kinds_max = kinds_max
        self._lock = threading.Lock()
        self._times = Counter[tuple[str, str]]()

    def count(self, group: str, kind: str) -> int:
        """Count once more, and return how often that was."""
        with self._lock:
            if (group, kind) not in self._times and len(self._times) >= self._kinds_max:
                kind = ""
            self._times[group, kind] += 1
            return self._times[group, kind]

    def by_group(self) -> dict[str, int]:
        """Return how often anything happened in each group."""
        found = Counter[str]()
        with self._lock:
            for (group, _), times in self._times.items():
                found[group] += times
        return dict(found)


class _Libraries(logging.Handler):
    """Says what libraries log, so that nothing but whole lines is ever written."""

    def emit(self, record: logging.LogRecord) -> None:
        """Count one record, and say it unless it repeats what was said."""
        failed = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        times = warnings.count(record.name.partition(".")[0], f"{record.msg} {failed}")
        if is_told(times):
            self._say(record, {"times": times} if times > 1 else {})

    @staticmethod
    def _say(record: logging.LogRecord, more: dict[str, Any]) -> None:
        """Say one record; a failure that has been told already, which the web server repeats, is not told again."""
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
    """Say what is said from now on, on standard output, as `service`."""
    # structlog loads rich wherever it is installed, for a terminal that a daemon does not have: 5 MB an agent.
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
    """Say that `event` happened; `failure` is an exception to be told with its traceback."""
    if failure is not None:
        failure.__dict__[_TOLD] = True
    for logger in _loggers:
        with suppress(OSError, ValueError):
            if failure is None:
                logger.info(event, **fields)
            else:
                logger.error(event, exc_info=failure, **fields)
