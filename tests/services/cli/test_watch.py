"""The live picture of a run, as a terminal shows it."""

import io
from typing import Any

import pytest
from rich.console import Console

from halage.cli import terminal, watch
from halage.client import StreamEvent
from halage.pipeline.model import RunState
from halage.web.api.schemas import Run
from tests.services.web.world import a_run


class FakeClient:
    """Plays the events of one run's stream."""

    def __init__(self, *events: StreamEvent) -> None:
        self._events = events

    def stream_run(self, run: int) -> Any:
        return iter(self._events)

    def show_job(self, job: int) -> dict[str, Any]:
        return {"report": None}


def _run(state: RunState) -> StreamEvent:
    return StreamEvent("run", Run.of(a_run(state=state)).model_dump(mode="json"), "")


def _line(text: str) -> StreamEvent:
    return StreamEvent("console", {"job_id": 1, "number": 0, "at_s": 0.0, "text": text}, "1.0")


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of 100 columns is sent."""
    sent = io.StringIO()
    console = Console(file=sent, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(terminal, "stdout", lambda: console)
    return sent


def test_stages_durations_and_the_end_of_the_console_are_drawn(screen: io.StringIO) -> None:
    client: Any = FakeClient(
        _run(RunState.RUNNING),
        *(_line(f"line {number}") for number in range(20)),
        _line("[bold]\x1b[2Jlast"),
        _run(RunState.FAILED),
    )
    assert watch.watch_run(client, 1)["state"] == "failed"
    last = screen.getvalue().rpartition("shop run 1")[2]
    assert "failed" in last
    assert "test      succeeded  1.0 s" in last
    assert "approval  waiting" in last
    assert "[bold]last" in last
    assert "line 9" in last
    assert "line 8\n" not in last
    assert "\x1b[2J" not in last.replace("\x1b[2K", "")


def test_it_ends_at_an_approval_when_it_shall(screen: io.StringIO) -> None:
    client: Any = FakeClient(_run(RunState.RUNNING), _run(RunState.WAITING), _run(RunState.SUCCEEDED))
    assert watch.watch_run(client, 1, until_approval=True)["state"] == "waiting"
    assert watch.watch_run(client, 1)["state"] == "succeeded"


def test_leaving_does_not_end_the_run(screen: io.StringIO) -> None:
    class Interrupted(FakeClient):
        def stream_run(self, run: int) -> Any:
            yield _run(RunState.RUNNING)
            raise KeyboardInterrupt

    client: Any = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        watch.watch_run(client, 1)
    assert "goes on without you" in screen.getvalue()
