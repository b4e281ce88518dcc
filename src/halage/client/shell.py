"""A command that a client talks with over a WebSocket; the server's side says what the messages are."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection, connect

import halage
from halage.client.connection import PREFIX, problem_error
from halage.client.errors import ProblemError, ServerUnreachable

STDOUT, STDERR = 1, 2
_PIECE = 32 * 1024
_WINDOW_BYTES = 1024 * 1024
"""So much input may be under way before the command took any of it."""
_CONNECT_S = 10.0


class Shell:
    """One such talk, within a `with` statement; leaving it ends the command.

    `outputs` is for one thread; `write`, `end_input` and `resize` may be called from another.
    """

    def __init__(self, url: str, path: str, token: str | None, wish: dict[str, Any]) -> None:
        self._url = url
        self._path = path
        self._token = token
        self._wish = wish
        self._stack = ExitStack()
        self._socket: ClientConnection | None = None
        self._taken = threading.Condition()
        self._ahead_bytes = 0
        self._is_over = False
        self.exit_code: int | None = None
        """How it ended, once `outputs` has: 128 + N for signal N, None when it is not known."""
        self.reason = ""
        """Why it ended, where not by itself."""

    def __enter__(self) -> Self:
        """Connect and say what is wanted. Raises ProblemError, ServerUnreachable."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            connecting = connect(
                "ws" + self._url.removeprefix("http") + PREFIX + self._path,
                additional_headers=headers,
                user_agent_header=f"halage/{halage.__version__}",
                open_timeout=_CONNECT_S,
                compression=None,
                # Whoever reads slowly, as a pager does, sees no answer to a ping before what came earlier.
                ping_timeout=None,
            )
            self._socket = self._stack.enter_context(connecting)
            self._socket.send(json.dumps(self._wish))
        except InvalidStatus as error:
            raise _refusal(error, self._url) from error
        except (OSError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
            raise self._broken(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._taken:
            self._is_over = True
            self._taken.notify_all()
        self._stack.close()

    def outputs(self) -> Iterator[tuple[int, bytes]]:
        """What it writes, as (STDOUT or STDERR, bytes), until it has ended.

        Raises ProblemError, ServerUnreachable.
        """
        assert self._socket is not None, "a Shell is used in a `with` statement"
        while True:
            try:
                message = self._socket.recv()
            except ConnectionClosed as error:
                raise self._broken(error) from error
            if isinstance(message, bytes):
                yield message[0], message[1:]
            elif self._hear(json.loads(message)):
                return

    def _hear(self, said: dict[str, Any]) -> bool:
        """Whether it was the last message. Raises ProblemError."""
        match said.get("event"):
            case "taken":
                with self._taken:
                    self._ahead_bytes -= int(said["bytes"])
                    self._taken.notify_all()
            case "exit":
                self.exit_code, self.reason = said["exit_code"], said["reason"]
                return True
            case "problem":
                raise problem_error({name: value for name, value in said.items() if name != "event"})
        return False

    def write(self, data: bytes) -> bool:
        """Give it input, as fast as it is taken; False once there is nobody to take it."""
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            with self._taken:
                self._taken.wait_for(lambda: self._is_over or self._ahead_bytes < _WINDOW_BYTES - _PIECE)
                if self._is_over:
                    return False
                self._ahead_bytes += len(piece)
            if not self._send(piece):
                return False
        return True

    def end_input(self) -> None:
        """There is no more input."""
        self._send(json.dumps({"event": "end_input"}))

    def resize(self, columns: int, rows: int) -> None:
        """Its terminal has another size now."""
        self._send(json.dumps({"event": "resize", "columns": columns, "rows": rows}))

    def _send(self, message: str | bytes) -> bool:
        assert self._socket is not None, "a Shell is used in a `with` statement"
        try:
            self._socket.send(message)
        except ConnectionClosed:
            return False  # `outputs` tells of it
        return True

    def _broken(self, cause: Exception) -> ServerUnreachable:
        return ServerUnreachable(
            f"The connection to {self._url} broke off ({cause}): the command was ended with it. "
            "Is `halage serve` running there?",
            url=self._url,
        )


def _refusal(error: InvalidStatus, url: str) -> ProblemError | ServerUnreachable:
    try:
        problem = json.loads(error.response.body or b"")
        return problem_error(problem)
    except (ValueError, AttributeError):
        status = error.response.status_code
        return ServerUnreachable(
            f"{url} takes no WebSocket (status {status}): is there a proxy in between, or an older Halage?",
            url=url,
        )
