"""`halage env exec`, `shell`, `execution`: a command or a shell run once in an environment, and what runs."""

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from halage.base.errors import Invalid
from halage.cli import terminal
from halage.cli.drawing import Drawing
from halage.cli.environments import Environment, Project
from halage.cli.exits import FAILED
from halage.cli.leaving import Leaving
from halage.cli.session import session_of
from halage.cli.words import duration, local, moment

if TYPE_CHECKING:
    from halage.client.shell import Shell

INTERRUPTED = 128 + signal.SIGINT
_PIECE = 32 * 1024
_STDOUT = 1

Instance = Annotated[
    str | None,
    typer.Option(
        "--instance", metavar="ID", help="Run in this instance, within its limits; without: in a fresh one."
    ),
]
LimitS = Annotated[
    float | None,
    typer.Option(
        "--limit",
        metavar="SECONDS",
        min=0.001,
        help="End it after so long; at most, and by default, the server's limit.",
    ),
]


def exec_(
    context: typer.Context,
    project: Project,
    environment: Environment,
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The command's words.")],
    instance: Instance = None,
    limit: LimitS = None,
    with_terminal: Annotated[
        bool, typer.Option("--terminal", "-t", help="With this terminal, for programs that ask and draw.")
    ] = False,
) -> None:
    """Run a command in a fresh instance of the running release; it ends with this one.

    Input, output and errors are the command's, and so is the exit code.
    """
    if with_terminal and not _is_terminal():
        raise Invalid("There is no terminal here: input and output have to be one. Leave out --terminal.")
    _run(context, project, environment, command, instance, limit, with_terminal)


def shell(
    context: typer.Context,
    project: Project,
    environment: Environment,
    instance: Instance = None,
    limit: LimitS = None,
) -> None:
    """Open a shell in a fresh instance of the running release, or in a chosen one.

    `exit` or Ctrl-D leaves it; a `~` at the start of a line and then `.` cuts it off.
    """
    _run(context, project, environment, (), instance, limit, _is_terminal())


def list_(context: typer.Context, project: Project, environment: Environment) -> None:
    """List the commands and shells that run in an environment: who, what, where, since when."""
    session = session_of(context)
    with session.connect() as client:
        found = client.list_executions(project, environment)
    session.show(
        ("id", "who", "what", "where", "release", "since", "for"),
        [_row(each) for each in found],
        found,
        empty=f"Nobody runs a command or a shell in {project} {environment}.",
    )


def _row(execution: dict[str, Any]) -> tuple[str, ...]:
    began = moment(execution["started_at"])
    lasted = time.time() - began.timestamp() if began is not None else 0.0
    return (
        execution["id"],
        execution["started_by"],
        execution["command"],
        execution["instance"] or "fresh instance",
        f"v{execution['release_number']}",
        local(execution["started_at"]),
        duration(lasted),
    )


def end(
    context: typer.Context,
    project: Project,
    environment: Environment,
    execution: Annotated[str, typer.Argument(help="The execution's id, such as x-3f9k2m.")],
) -> None:
    """End a command or a shell, whoever began it."""
    session = session_of(context)
    with session.connect() as client:
        ended = client.end_execution(project, environment, execution)
    words = f"{ended['command']} of {ended['started_by']} in {project} {environment} is ended."
    session.tell(f"{execution}: {words}", ended)


def _run(
    context: typer.Context,
    project: str,
    environment: str,
    command: Sequence[str],
    instance: str | None,
    limit_s: float | None,
    with_terminal: bool,
) -> None:
    drawn = _size() | {"kind": os.environ.get("TERM") or "dumb"} if with_terminal else None
    with session_of(context).connect() as client:
        talk = client.open_shell(
            project, environment, command, instance=instance, terminal=drawn, limit_s=limit_s
        )
        try:
            with talk, _raw() if with_terminal else contextlib.nullcontext():
                _talk(talk, with_terminal)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
    if talk.reason:
        terminal.print_note(f"It was ended: {talk.reason}.")
    raise typer.Exit(FAILED if talk.exit_code is None else talk.exit_code)


def _talk(talk: "Shell", with_terminal: bool) -> None:
    """Carry input there and output here until the command has ended."""
    drawing = Drawing()
    with _resizes() as resized:
        typed = _send_terminal if with_terminal else _send_input
        threading.Thread(target=typed, args=(talk, resized), daemon=True).start()
        try:
            for number, data in talk.outputs():
                if with_terminal:
                    drawing.watch(data)
                _write(sys.stdout.buffer if number == _STDOUT else sys.stderr.buffer, data)
        finally:
            _write(sys.stdout.buffer, drawing.undo())


def _write(stream: BinaryIO, data: bytes) -> None:
    stream.write(data)
    stream.flush()


def _send_input(talk: "Shell", _resized: int) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(0, _PIECE):
            if not talk.write(data):
                return
    talk.end_input()


def _send_terminal(talk: "Shell", resized: int) -> None:
    leaving = Leaving()
    while True:
        ready, _, _ = select.select([0, resized], [], [])
        if resized in ready:
            os.read(resized, _PIECE)
            size = _size()
            talk.resize(size["columns"], size["rows"])
        if 0 in ready:
            try:
                typed = os.read(0, _PIECE)
            except OSError:
                typed = b""
            data = leaving.pass_on(typed)
            if leaving.is_wanted or not typed:  # without input: the terminal was hung up
                os.kill(os.getpid(), signal.SIGINT)
                return
            if data and not talk.write(data):
                return


@contextlib.contextmanager
def _resizes() -> Iterator[int]:
    """A descriptor that has something to read whenever the window has changed its size."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    before = signal.signal(signal.SIGWINCH, lambda number, frame: os.write(tell, b"."))
    try:
        yield told
    finally:
        signal.signal(signal.SIGWINCH, before)


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """The terminal gives every key as it is pressed, Ctrl-C too, and shows none of them itself."""
    before = termios.tcgetattr(0)
    ended = signal.signal(signal.SIGTERM, _leave)  # by default it would leave the terminal as it is
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTERM, ended)


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def _is_terminal() -> bool:
    return os.isatty(0) and os.isatty(1)


def _size() -> dict[str, Any]:
    size = os.get_terminal_size(1)
    # One that does not know its own size says 0.
    return {"columns": min(max(size.columns, 1), 1000) if size.columns else 80, "rows": size.lines or 24}
