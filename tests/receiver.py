"""Somebody who is told: an HTTP server that counts what it was sent."""

import http.server
import json
import threading
from collections import Counter
from typing import Any

from tests.ports import unused_port


class Receiver:
    """Use it in `with`. Paths that begin with `/broken` answer 500, those with `/slow` once `is_awake` is
    set; everything is kept all the same.
    """

    def __init__(self) -> None:
        self.port = unused_port()
        self.received: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        """Path, headers (lower case), body."""
        self.is_awake = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def address(self, path: str) -> str:
        """As Apprise takes it."""
        return f"json://127.0.0.1:{self.port}/{path}"

    def url(self, path: str) -> str:
        """For an HTTP call."""
        return f"http://127.0.0.1:{self.port}/{path}"

    def titles(self, path: str) -> list[str]:
        """The titles of the messages that came there, in order."""
        return [body["title"] for at, _, body in list(self.received) if at == f"/{path}"]

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What came there, in order."""
        return [body for at, _, body in list(self.received) if at == f"/{path}"]

    def keys(self, path: str) -> Counter[str]:
        """How often each `Idempotency-Key` came there."""
        return Counter(
            headers["idempotency-key"] for at, headers, _ in list(self.received) if at == f"/{path}"
        )

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_awake.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        received, is_awake = self.received, self.is_awake

        class Door(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"]))
                if len(text) < int(self.headers["Content-Length"]):
                    return  # the caller was killed
                body = json.loads(text)
                headers = {name.lower(): value for name, value in self.headers.items()}
                received.append((self.path.rstrip("/"), headers, body))
                if self.path.startswith("/slow"):
                    is_awake.wait()
                self.send_response(500 if self.path.startswith("/broken") else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        return Door
