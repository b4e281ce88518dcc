"""Halage's own log: structlog to standard error, lines for people or JSON for machines."""

import logging
import sys
from typing import Protocol

import structlog

from halage.monitor.logs.own import OwnLog


class LogSettings(Protocol):
    """The level (`info`) and the format (`auto`)."""

    @property
    def level(self) -> str:
        """debug, info, warning or error."""
        ...

    @property
    def format(self) -> str:
        """auto (lines on a terminal, else JSON), console or json."""
        ...


def configure_logs(settings: LogSettings) -> OwnLog:
    """Set up structlog for the whole process; what is returned hands a copy of each line on."""
    own_log = OwnLog()
    is_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    renderer: structlog.types.Processor = structlog.processors.JSONRenderer()
    if not is_json:
        # Plain tracebacks: the default one shows local variables, and tokens and passwords are among them.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    processors: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if is_json:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, own_log, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(settings.level.upper())),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return own_log
