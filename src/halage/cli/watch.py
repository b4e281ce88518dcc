"""The live picture of a run: its stages with their durations, and the end of its console."""

import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from halage.cli import terminal
from halage.cli.rows import stage_rows
from halage.cli.words import duration, elapsed, harmless, short

if TYPE_CHECKING:
    from rich.console import RenderableType

    from halage.client import Client, StreamEvent

TAIL_LINES = 12
_FINAL = ("succeeded", "failed", "cancelled", "superseded")


def watch_run(
    client: "Client", run_id: int, *, shows: bool = True, console: bool = True, until_approval: bool = False
) -> dict[str, Any]:
    """The run as it ended (or, `until_approval`, as it came to wait for one). Raises KeyboardInterrupt."""
    events = _until(client.stream_run(run_id), until_approval)
    if not shows:
        run = _last_run(events)
    elif terminal.stdout().is_terminal:
        run = _draw(events, console)
    else:
        run = _write(events, console)
    if shows:
        _explain(client, run)
    return run


def _until(events: Iterator["StreamEvent"], until_approval: bool) -> Iterator["StreamEvent"]:
    for event in events:
        yield event
        if until_approval and event.name == "run" and event.body["state"] == "waiting":
            return


def _last_run(events: Iterator["StreamEvent"]) -> dict[str, Any]:
    run: dict[str, Any] = {}
    for event in events:
        if event.name == "run":
            run = event.body
    return run


def _write(events: Iterator["StreamEvent"], console: bool) -> dict[str, Any]:
    """Line by line, for a file or a pipe."""
    run: dict[str, Any] = {}
    told: dict[str, tuple[Any, ...]] = {}
    for event in events:
        if event.name == "console" and console:
            terminal.print_line(f"  | {event.body['text']}")
        elif event.name == "run":
            run = event.body
            for stage in run["stages"]:
                _tell_stage(stage, told)
    return run


def _tell_stage(stage: dict[str, Any], told: dict[str, tuple[Any, ...]]) -> None:
    fresh = (stage["state"], stage["reason"], stage["attempt"])
    before = told.get(stage["name"])
    told[stage["name"]] = fresh
    if fresh == before or stage["state"] == "pending":
        return
    took = elapsed(stage, time.time()) if stage["finished_at"] else None
    parts = [f"{stage['name']:<12}", stage["state"], f"in {duration(took)}" if took else "", stage["reason"]]
    terminal.print_line(" ".join(part for part in parts if part))


def _draw(events: Iterator["StreamEvent"], console: bool) -> dict[str, Any]:
    """In place, on a terminal."""
    from rich.live import Live

    picture = Picture(console)
    with Live(picture, console=terminal.stdout(), refresh_per_second=8, transient=False):
        try:
            for event in events:
                picture.take(event)
        except KeyboardInterrupt:
            picture.note = "It goes on without you."
            raise
    return picture.run


class Picture:
    """A run as it is drawn; durations go on between two events."""

    def __init__(self, console: bool = True) -> None:
        self.run: dict[str, Any] = {}
        self.note = ""
        self._console = console
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def take(self, event: "StreamEvent") -> None:
        """Change the picture by one event of the run's stream."""
        if event.name == "run":
            self.run = event.body
        elif event.name == "console":
            self._tail.append(event.body["text"])

    def __rich__(self) -> "RenderableType":
        """The picture as it is now."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        if not self.run:
            return Text("Waiting for the server …", style="dim")
        run = self.run
        head = Text.assemble(
            (f"{run['project']} ", "bold"),
            (f"run {run['id']}  ", "dim"),
            terminal.coloured(run["state"]),
            (f"  {short(run['commit'])} ", "dim"),
            harmless(run["title"]),
        )
        table = Table(box=None, show_header=False, pad_edge=False)
        for row in stage_rows(run, time.time()):
            table.add_row(*(terminal.plain(cell) if isinstance(cell, str) else cell for cell in row))
        lines: list[RenderableType] = [head, table]
        if self._console and run["state"] not in ("succeeded", "waiting") and self._tail:
            tail = "\n".join(harmless(line) for line in self._tail)
            lines += [Text(), Text(tail, style="dim", no_wrap=True, overflow="ellipsis")]
        if self.note:
            lines.append(Text(self.note, style="yellow"))
        return Group(*lines)


def _explain(client: "Client", run: dict[str, Any]) -> None:
    """What the end of a run means, and what to do now."""
    number, project = run["id"], run["project"]
    if run["state"] == "waiting":
        terminal.print_note(f"It waits: `halage approve {project}` lets it go on.", "yellow")
        return
    if run["state"] == "succeeded":
        terminal.print_note(f"Run {number} succeeded.", "green")
        return
    terminal.print_note(f"Run {number} {run['state']}. {run['reason']}".rstrip(), "red")
    for stage in run["stages"]:
        if stage["state"] == "failed" and stage["job_id"] is not None:
            _explain_job(client.show_job(stage["job_id"]))
    if run["state"] == "failed":
        terminal.print_note(
            f"`halage run logs {number}` has the whole console; `halage run retry {number}` tries again."
        )


def _explain_job(job: dict[str, Any]) -> None:
    report = job["report"]
    for failure in report["failures"] if report else ():
        terminal.print_note(f"  {failure['group']} {failure['name']}".rstrip(), "red")
        first = failure["message"].strip().splitlines()[:3]
        for line in first:
            terminal.print_note(f"      {line}")
