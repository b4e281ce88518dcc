"""The client: streams that go on after a break, and errors that say what to do."""

import json
from collections.abc import Iterator

import httpx
import pytest

from halage.client import Client, NotAHalageServer, ProblemError, ServerUnreachable


class Breaking(httpx.SyncByteStream):
    """A body that breaks off as a lost connection does, unless it is whole."""

    def __init__(self, text: str, is_whole: bool) -> None:
        self._text = text
        self._is_whole = is_whole

    def __iter__(self) -> Iterator[bytes]:
        yield self._text.encode()
        if not self._is_whole:
            raise httpx.ReadError("connection lost")


class Server:
    """Answers one stream after the other, and remembers from where each was asked for."""

    def __init__(self, *answers: tuple[str, bool] | httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.asked_from: list[str | None] = []

    def client(self, patience_s: float = 5.0) -> Client:
        transport = httpx.MockTransport(self._answer)
        return Client("http://halage.test", "t", transport=transport, patience_s=patience_s)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked_from.append(request.headers.get("Last-Event-ID"))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        text, is_whole = answer
        headers = {"Content-Type": "text/event-stream"}
        return httpx.Response(200, headers=headers, stream=Breaking(text, is_whole))


def _line(number: int) -> str:
    return f'id: 7.{number}\nevent: console\ndata: {{"number": {number}}}\n\n'


END = "event: end\ndata: {}\n\n"
PROBLEM = {
    "type": "/api/v1/problems#not-allowed",
    "title": "You are not allowed to do this",
    "status": 403,
    "detail": "It needs the role admin",
    "instance": "/x",
    "needed": "admin",
    "message": "not a fact that replaces ours",
}


def _problem(status: int = 403) -> httpx.Response:
    headers = {"Content-Type": "application/problem+json"}
    return httpx.Response(status, headers=headers, text=json.dumps(PROBLEM))


def test_a_stream_that_breaks_off_goes_on_where_it_was() -> None:
    server = Server(
        (": halage\n\n" + _line(1) + _line(2), False),
        httpx.ConnectError("refused"),
        httpx.Response(503, text="stopping"),
        (_line(3), True),  # ended without `end`: the server was stopped
        (_line(4) + END, True),
    )
    with server.client() as client:
        numbers = [event.body["number"] for event in client.stream_run(7)]
    assert numbers == [1, 2, 3, 4]
    assert server.asked_from == [None, "7.2", "7.2", "7.2", "7.3"]


def test_a_beat_is_no_event() -> None:
    server = Server((_line(1) + ": beat\n\n: beat\n\n" + _line(2) + END, True))
    with server.client() as client:
        assert [event.body["number"] for event in client.stream_run(7)] == [1, 2]


def test_a_server_that_stays_away_is_given_up() -> None:
    server = Server((_line(1), False), httpx.ConnectError("refused"))
    with server.client(patience_s=0.05) as client:
        stream = client.stream_run(7)
        assert next(stream).id == "7.1"
        with pytest.raises(ServerUnreachable, match="halage serve"):
            list(stream)


def test_a_stream_that_the_server_refuses_to_go_on_with_is_an_error() -> None:
    event = f"event: problem\ndata: {json.dumps(PROBLEM)}\n\n"
    with Server((_line(1) + event, True)).client() as client, pytest.raises(ProblemError, match="role admin"):
        list(client.stream_run(7))
    with Server(_problem()).client() as client, pytest.raises(ProblemError, match="role admin"):
        list(client.stream_run(7))


def test_a_problem_keeps_its_facts() -> None:
    with Server(_problem()).client() as client, pytest.raises(ProblemError) as caught:
        client.show_me()
    assert caught.value.status == 403
    assert caught.value.title == "You are not allowed to do this"
    assert caught.value.message == "It needs the role admin"
    assert caught.value.facts == {"status": 403, "needed": "admin"}


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<h1>It works!</h1>"),
        httpx.Response(404, text="<h1>Not Found</h1>"),
        httpx.Response(502, text="Bad Gateway"),
    ],
)
def test_something_else_that_answers_is_told_from_halage(answer: httpx.Response) -> None:
    with Server(answer).client() as client, pytest.raises(NotAHalageServer, match="halage configure"):
        client.show_me()


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("timed out")])
def test_a_server_that_cannot_be_reached_says_what_to_do(error: Exception) -> None:
    with Server(error).client() as client, pytest.raises(ServerUnreachable, match="halage serve"):
        client.show_me()


def test_an_address_that_is_none() -> None:
    with pytest.raises(ServerUnreachable), Client("http://[", "t") as client:
        client.show_health()
