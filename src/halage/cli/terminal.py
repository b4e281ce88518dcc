"""What commands write: tables or JSON on stdout, messages on stderr."""

import contextlib
import functools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from halage.cli.words import harmless, style_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_WIDE = 100_000
"""Into a file or a pipe nothing is cut off."""


@functools.cache
def stdout() -> "Console":
    """The terminal, or plain text without a limit of width into a file or a pipe."""
    return _console(stderr=False)


@functools.cache
def stderr() -> "Console":
    """The same for messages."""
    return _console(stderr=True)


def forget_terminals() -> None:
    """Look at stdout and stderr anew; for a process that replaces them."""
    stdout.cache_clear()
    stderr.cache_clear()


def print_json(value: Any) -> None:
    """The value as JSON."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_json_line(value: Any) -> None:
    """The value as JSON on a line of its own, at once: what is followed is a stream of such lines."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_line(text: str, style: str | None = None) -> None:
    """One line on stdout. Text from elsewhere is made harmless."""
    stdout().print(plain(text, style), soft_wrap=True)


def print_note(text: str, style: str | None = None) -> None:
    """One line on stderr: what happens, what to do next."""
    stderr().print(plain(text, style), soft_wrap=True)


def print_error(message: str) -> None:
    """An error on stderr."""
    from rich.text import Text

    lines = "\n".join(harmless(line) for line in message.split("\n"))
    stderr().print(Text.assemble(("Error: ", "bold red"), lines), soft_wrap=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """A table; instead of an empty one the sentence `empty` on stderr."""
    if not rows:
        print_note(empty)
        return
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(cell if not isinstance(cell, str) else plain(cell) for cell in row))
    _print(table)


def print_facts(facts: Sequence[tuple[str, Any]]) -> None:
    """Names and values, one below the other."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, plain(value) if isinstance(value, str) else value)
    _print(table)


def _print(table: "Table") -> None:
    console = stdout()
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():  # cells are padded, which only a terminal hides
        sys.stdout.write(line.rstrip() + "\n")


def plain(text: str, style: str | None = None) -> "Text":
    """Text as it is: no markup is read in it, nothing in it steers the terminal."""
    from rich.text import Text

    return Text(harmless(text), style=style or "")


def coloured(state: str) -> "Text":
    """A state in its colour."""
    return plain(state.replace("_", " "), style_of(state))


def ask_secret(question: str) -> str:
    """What is typed and not shown; a line of stdin where nobody sits there."""
    import typer

    if sys.stdin.isatty():
        return str(typer.prompt(question, hide_input=True, err=True))
    return sys.stdin.readline().removesuffix("\n")


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show on a terminal that something is under way."""
    if not stderr().is_terminal:
        yield
        return
    with stderr().status(plain(text)):
        yield


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """A function that tells on stderr how far it is: in place on a terminal, else line by line."""
    if not stderr().is_terminal:
        told = ""

        def write(text: str) -> None:
            nonlocal told
            if text != told:
                print_note(f"{title}: {text}")
            told = text

        yield write
        return
    with stderr().status(plain(title)) as status:
        yield lambda text: status.update(plain(f"{title}: {text}"))


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else _WIDE)
