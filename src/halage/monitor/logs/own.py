"""Halage's own log as lines of the group `halage`: a structlog processor that hands copies to a sink."""

import contextlib
import json
import threading
import time
from collections import deque
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog

from halage.monitor.logs.model import OWN_GROUP, Group, Line, LogSink

STREAM = "server"
_GROUP = Group(OWN_GROUP, None)
_EARLY_LINES = 1000
"""Kept from the start of the process until there is a sink."""
_LONGEST_VALUE = 16 * 1024


class OwnLog:
    """Stands among structlog's processors, after the time stamp and before the renderer; changes nothing.

    What is said while a line is handed over (by the sink itself) is not handed over again.
    """

    def __init__(self) -> None:
        self._sink: LogSink | None = None
        self._early: deque[Line] = deque(maxlen=_EARLY_LINES)
        self._busy = threading.local()

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Copy one event."""
        if not getattr(self._busy, "is_set", False):
            with self._handing_over():
                self._take(Line(time.time(), _as_json(logger, method, event)))
        return event

    def connect(self, sink: LogSink) -> None:
        """Hand over what was said so far, and from now on everything."""
        with self._handing_over():
            self._sink = sink
            early = list(self._early)
            self._early.clear()
            if early:
                sink.append(_GROUP, STREAM, early)

    def disconnect(self) -> None:
        """Keep the last lines again, as before `connect`: the sink ends."""
        self._sink = None

    @contextlib.contextmanager
    def _handing_over(self) -> Iterator[None]:
        self._busy.is_set = True
        try:
            yield
        finally:
            self._busy.is_set = False

    def _take(self, line: Line) -> None:
        if self._sink is None:
            self._early.append(line)
        else:
            self._sink.append(_GROUP, STREAM, [line])


def _as_json(logger: Any, method: str, event: MutableMapping[str, Any]) -> bytes:
    copy = structlog.processors.format_exc_info(logger, method, dict(event))
    copy.setdefault("level", method)
    text = json.dumps(
        {name: _short(value) for name, value in copy.items()}, default=_text, ensure_ascii=False
    )
    return text.encode(errors="replace")


def _short(value: Any) -> Any:
    return value[:_LONGEST_VALUE] if isinstance(value, str) else value


def _text(value: Any) -> str:
    return repr(value)[:_LONGEST_VALUE]
