"""Requests to one server: the credential, problems as errors, streams that are resumed."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
from httpx_sse import EventSource, SSEError

import halage
from halage.client.errors import NotAHalageServer, ProblemError, ServerUnreachable

PREFIX = "/api/v1"
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_LONG_TIMEOUT = httpx.Timeout(5.0, read=600.0)
"""A long answer is silent while the server looks for the next line that is wanted."""
_STREAM_TIMEOUT = httpx.Timeout(5.0, read=40.0)
"""A stream carries a beat each 15 s: one that is silent for longer is dead."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of a stream: its name, its JSON body, the id that the stream goes on from."""

    name: str
    body: dict[str, Any]
    id: str


class Connection:
    """Requests with a token to one server. Use it in a `with` statement or call `close`."""

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        transport: httpx.BaseTransport | None = None,
        patience_s: float = 60.0,
    ) -> None:
        """Take the server's address and a token; without one, only health and login answer.

        `patience_s`: how long a stream that broke off is tried again before it is given up.
        """
        self.url = url.rstrip("/")
        headers = {"User-Agent": f"halage/{halage.__version__}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._token = token
        self._http = httpx.Client(
            base_url=self.url + PREFIX, headers=headers, timeout=_TIMEOUT, transport=transport
        )
        self._patience_s = patience_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; idempotent."""
        self._http.close()

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        query: dict[str, Any] | None = None,
    ) -> Any:
        """The JSON of the answer, None where there is none. Raises ProblemError, ServerUnreachable."""
        response = self._request(method, path, body, query)
        if response.status_code == 204:
            return None
        return _read_json(response, self.url)

    def _ask_text(self, method: str, path: str, *, query: dict[str, Any] | None = None) -> str:
        """The text of the answer, for what is no JSON. Raises ProblemError, ServerUnreachable."""
        return self._request(method, path, None, query).text

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None, query: dict[str, Any] | None
    ) -> httpx.Response:
        sent = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            response = self._http.request(method, path, json=body, params=sent)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        except httpx.InvalidURL as error:
            raise self._unreachable(error) from error
        _raise_problem(response, self.url)
        return response

    def _lines(self, path: str, query: dict[str, Any]) -> Iterator[str]:
        """A long answer line by line, as it comes. Raises ProblemError, ServerUnreachable."""
        sent = {name: value for name, value in query.items() if value is not None}
        try:
            with self._http.stream("GET", path, params=sent, timeout=_LONG_TIMEOUT) as response:
                if response.status_code != 200:
                    response.read()
                _raise_problem(response, self.url)
                rest = ""
                for text in response.iter_text():
                    # Not iter_lines: it takes more than a line break for the end of a line.
                    *whole, rest = (rest + text).split("\n")
                    yield from whole
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error

    def _download(self, path: str, *, query: dict[str, Any] | None = None) -> Iterator[bytes]:
        """A long answer as it comes. Raises ProblemError, and ServerUnreachable when it breaks off."""
        sent = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            with self._http.stream("GET", path, params=sent, timeout=_LONG_TIMEOUT) as response:
                if not response.is_success:
                    response.read()
                    _raise_problem(response, self.url)
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _follow(
        self, path: str, *, query: dict[str, Any] | None = None, last_id: str | None = None
    ) -> Iterator[StreamEvent]:
        """Events until the server says that there are no more; a stream that breaks off is resumed."""
        sent = {name: value for name, value in (query or {}).items() if value is not None}
        broken_at: float | None = None
        while True:
            try:
                for event in self._listen(path, sent, last_id):
                    broken_at = None
                    last_id = event.id or last_id
                    if event.name == "end":
                        return
                    yield event
            except (httpx.TransportError, SSEError) as error:
                cause: Exception | None = error
            else:
                cause = None
            now = time.monotonic()
            broken_at = broken_at or now
            if now - broken_at > self._patience_s:
                raise self._unreachable(cause) from cause
            time.sleep(min(0.5, self._patience_s))

    def _listen(self, path: str, query: dict[str, Any], last_id: str | None) -> Iterator[StreamEvent]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
        with self._http.stream(
            "GET", path, params=query, headers=headers, timeout=_STREAM_TIMEOUT
        ) as response:
            if response.status_code != 200:
                response.read()
                if response.status_code == 503:
                    return  # the server is just stopping or starting: try again
                _raise_problem(response, self.url)
            yield from _events(response)

    def _follow_once(self, path: str, body: dict[str, Any]) -> Iterator[StreamEvent]:
        """Events of what a request begins: nothing that could be resumed. Raises ServerUnreachable."""
        try:
            with self._http.stream(
                "POST", path, json=body, headers={"Accept": "text/event-stream"}, timeout=_STREAM_TIMEOUT
            ) as response:
                if not response.is_success:
                    response.read()
                    _raise_problem(response, self.url)
                for event in _events(response):
                    if event.name == "end":
                        return
                    yield event
        except (httpx.TransportError, httpx.InvalidURL, SSEError) as error:
            raise self._unreachable(error) from error
        raise self._unreachable(None)

    def _unreachable(self, cause: Exception | None) -> ServerUnreachable:
        reason = f" ({cause})" if cause is not None and str(cause) else ""
        return ServerUnreachable(
            f"{self.url} cannot be reached{reason}. Is `halage serve` running there? "
            "`halage configure` sets another address.",
            url=self.url,
        )


def _events(response: httpx.Response) -> Iterator[StreamEvent]:
    for event in EventSource(response).iter_sse():
        if not event.data:
            continue  # a beat: the library takes the comment for an event once an id was seen
        body = event.json()
        if event.event == "problem":
            raise problem_error(body)
        yield StreamEvent(event.event, body, event.id)


def _raise_problem(response: httpx.Response, url: str) -> None:
    if response.is_success:
        return
    if "problem+json" not in response.headers.get("content-type", ""):
        raise _no_halage(response, url)
    raise problem_error(_read_json(response, url))


def problem_error(problem: dict[str, Any]) -> ProblemError:
    """The error that a problem document tells of."""
    facts = {
        key: value
        for key, value in problem.items()
        if key.isidentifier()
        and key not in ("type", "title", "status", "detail", "instance", "args", "message")
    }
    return ProblemError(
        int(problem.get("status", 500)),
        str(problem.get("title", "")),
        str(problem.get("detail", "")),
        **facts,
    )


def _read_json(response: httpx.Response, url: str) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise _no_halage(response, url) from error


def _no_halage(response: httpx.Response, url: str) -> NotAHalageServer:
    return NotAHalageServer(
        f"What answers at {url} is not a Halage server (status {response.status_code} for "
        f"{response.request.url.path}). Check the address: `halage configure` sets another one."
    )
