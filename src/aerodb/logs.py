"""What a daemon says of itself: one line an event on standard output, as JSON or for people.

- Nothing depends on it: where nobody asked for logs nothing is said, and one that cannot be written is dropped.
- No secret is ever handed to it: no password, no key, no signature, no plan.
- Whatever concerns a request carries its id.
- What a library warns of is a line like any other; of one that is configured with secrets, without any text that it
  was given.

structlog is loaded by a daemon that logs, and by nothing else.
"""

import logging
import sys
from contextlib import suppress
from typing import Any, Literal

Form = Literal["text", "json"]
_loggers: list[Any] = []


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


class _Libraries(logging.Handler):
    """Says what libraries log, so that nothing but whole lines is ever written."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say one record; the web server repeats failures that have been told with their traceback already."""
        if record.name.partition(".")[0] in CONFIGURED_WITH_SECRETS:
            kind = record.exc_info[0] if record.exc_info else None
            failed = kind.__name__ if kind else ""
            say("library warns", library=record.name, message=_sparing(record), failed=failed)
            return
        failure = record.exc_info[1] if record.exc_info and record.name != "uvicorn.error" else None
        say("library warns", failure=failure, library=record.name, message=record.getMessage())


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
    for logger in _loggers:
        with suppress(OSError, ValueError):
            if failure is None:
                logger.info(event, **fields)
            else:
                logger.error(event, exc_info=failure, **fields)
