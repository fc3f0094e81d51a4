"""Structured logs by structlog: JSON lines on standard error for machines, readable lines for people. Nothing here holds a secret."""

import logging
import sys
from typing import Any, Final, Literal

import orjson
import structlog

from burster.runtime.clock import Clock


_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_answer_logs() -> None:
    """Send what a command that answers once has to log, warnings and worse, to standard error: standard output is its answer's alone."""

    def only_warnings(_logger: Any, method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        if method in {"debug", "info"}:
            raise structlog.DropEvent
        return event

    structlog.configure(
        processors=[only_warnings, structlog.processors.add_log_level, structlog.dev.ConsoleRenderer(colors=False)],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def configure_logs(clock: Clock, *, level: str = "info", form: Literal["json", "console"] = "json") -> None:
    """Send every log of the process to standard error, stamped by the clock."""

    def stamp(_logger: Any, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        event["at_ms"] = clock.now_ms()
        return event

    shared: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        stamp,
        structlog.processors.format_exc_info if form == "json" else structlog.processors.StackInfoRenderer(),
    ]
    if form == "json":
        structlog.configure(
            processors=[*shared, structlog.processors.JSONRenderer(serializer=orjson.dumps)],
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
            logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        )
        return
    structlog.configure(
        processors=[*shared, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
