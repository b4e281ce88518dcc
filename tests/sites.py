"""Small Python sites that need no build: what the journeys and faults push."""

from collections.abc import Mapping, Sequence

SITE = """\
import http.server, os, pathlib, sys, time


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        {answer}
        status, body = page(self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


{before}
Server((os.environ["HOST"], int(os.environ["PORT"])), Page).serve_forever()
"""


def toml_of(
    *,
    build: Sequence[str] = (),
    test: Sequence[str] = ("true",),
    instances: int = 1,
    flow: Sequence[str] = ("test", "prod"),
    run: Mapping[str, object] | None = None,
    head: str = "",
) -> str:
    """A halage.toml: main goes to production at once, unless `flow` says otherwise."""
    extra = "\n".join(f"{name} = {_written(value)}" for name, value in (run or {}).items())
    return f"""\
kind = "python"
{head}
[build]
commands = {_written(list(build))}
[test]
commands = {_written(list(test))}
[run]
start = "exec python3 site_of_mine.py"
drain_timeout = 5
stop_timeout = 2
{extra}
[flow]
main = {_written(list(flow))}
[environments.prod]
approval = false
instances = {instances}
type = "small"
health = {{ interval = 0.5, timeout = 3, fall = 3, rise = 1 }}
"""


def _written(value: object) -> str:
    if isinstance(value, str):
        return "'''" + value + "'''"
    if isinstance(value, list):
        return "[" + ", ".join(_written(each) for each in value) + "]"
    return str(value)


def program(text: str, *, before: str = "", answer: str | None = None) -> str:
    """The site's program: it answers `text`; or what the expression `answer` of (status, body) gives."""
    page = answer or f"(200, {text!r}.encode())"
    return SITE.replace("{before}", before).replace("{answer}", f"page = lambda path: {page}")


def site(
    text: str, *, toml: str | None = None, before: str = "", answer: str | None = None
) -> dict[str, str]:
    """The files of a site that answers `text`."""
    return {"halage.toml": toml or toml_of(), "site_of_mine.py": program(text, before=before, answer=answer)}
