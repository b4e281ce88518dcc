"""A page about tides and locks, as a WSGI application without a framework."""

import html
import mimetypes
import os
import string
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from locks import LOCKS, state_of

ROOT = Path(__file__).parent
STAGES = ("push", "tests", "dev", "preprod", "approval", "prod")
PAGE = string.Template((ROOT / "templates" / "page.html").read_text(encoding="utf-8"))

Answer = tuple[str, str, bytes]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request (PEP 3333)."""
    status, content_type, body = answer(environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/"))
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def answer(method: str, path: str) -> Answer:
    """Status, content type and body for a method and a path."""
    if method not in ("GET", "HEAD"):
        return "405 Method Not Allowed", "text/plain", b"Only GET and HEAD\n"
    if path == "/":
        return "200 OK", "text/html; charset=utf-8", home(datetime.now(timezone.utc))
    if path == "/health":
        return "200 OK", "text/plain", b"well\n"
    return static_file(path)


def home(now: datetime) -> bytes:
    """The home page as it is at a moment."""
    environment = os.environ.get("HALAGE_ENVIRONMENT", "local")
    release = os.environ.get("HALAGE_RELEASE")
    cards = "\n".join(card(name, rise_m, state_of(name, now)) for name, rise_m in LOCKS)
    page = PAGE.substitute(
        name=html.escape(os.environ.get("HALAGE_PROJECT", "lockkeeper").capitalize()),
        environment=html.escape(environment),
        cards=cards,
        way="".join(step(stage, stage == environment) for stage in STAGES),
        release=f"v{html.escape(release)} · " if release else "",
        commit=html.escape(short(os.environ.get("HALAGE_COMMIT", "working copy"))),
    )
    return page.encode()


def card(name: str, rise_m: float, state: str) -> str:
    """One lock on the page."""
    return (
        f'<li class="card"><span class="sign" aria-hidden="true">≋</span><h2>{html.escape(name)}</h2>'
        f"<p>Rises {rise_m:.1f} m.</p><strong>{html.escape(state)}</strong></li>"
    )


def step(stage: str, is_current: bool) -> str:
    """One step of the way of a change."""
    return f'<li aria-current="step">{stage}</li>' if is_current else f"<li>{stage}</li>"


def short(commit: str) -> str:
    """The first seven digits of a commit."""
    return commit[:7] if len(commit) == 40 else commit


def static_file(path: str) -> Answer:
    """A file of static/, and of nothing else."""
    folder = ROOT / "static"
    file = (folder / path.lstrip("/")).resolve()
    if not file.is_relative_to(folder) or not file.is_file():
        return "404 Not Found", "text/plain; charset=utf-8", b"There is nothing here\n"
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return "200 OK", kind, file.read_bytes()
