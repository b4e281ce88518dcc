"""The driver's own memory: what a HAProxy is started from, in one file of its directory."""

import json
from pathlib import Path
from typing import Any

import structlog

from halage.balancer.certificates import read_certificate
from halage.balancer.drivers.haproxy.figures import Counters, Key
from halage.balancer.drivers.haproxy.layout import (
    Layout,
    first_layout,
    layout_from_document,
    layout_to_json,
)
from halage.balancer.errors import BadCertificate
from halage.balancer.model import Certificate
from halage.base.files import write_atomically

FILE = "layout.json"
log = structlog.get_logger()


def load(directory: Path) -> tuple[Layout, dict[Key, Counters]]:
    """The layout and the past counters; a first layout where there is none that can be read."""
    path = directory / FILE
    if not path.exists():
        return first_layout(), {}
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        past = {(entry["slot"], entry["target"]): Counters(*entry["counters"]) for entry in document["past"]}
        return layout_from_document(document, lambda name: _read_certificate(directory / name)), past
    except (ValueError, KeyError, TypeError, AttributeError):
        # Routes and targets come again from above; a file cut short must not keep the sites down.
        log.exception("layout unreadable, starting afresh", action="balancer:Load", subject=str(path))
        return first_layout(), {}


def save(directory: Path, layout: Layout, past: dict[Key, Counters]) -> None:
    """Keep them for the next start. Raises OSError.

    Nothing waits for the disk: a power cut ends the targets as well, and they come again from above.
    """
    counted = [
        {"slot": slot, "target": target, "counters": counters.as_tuple()}
        for (slot, target), counters in past.items()
    ]
    text = f'{layout_to_json(layout)[:-1]},"past":{json.dumps(counted)}}}'
    write_atomically(directory / FILE, text, mode=0o600, durable=False)


def _read_certificate(path: Path) -> Certificate | None:
    try:
        return read_certificate(path.read_text(), "", now=None)
    except (OSError, ValueError, BadCertificate):
        # It comes again from above; until then its route is served without HTTPS.
        log.exception("certificate unreadable", action="balancer:Load", subject=str(path))
        return None
