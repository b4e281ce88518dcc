"""What a command knows from the options before it: profile, form of output, and so the client."""

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halage.base.errors import Invalid
from halage.cli import terminal
from halage.cli.profile import Profile, choose_profile

if TYPE_CHECKING:
    from halage.client import Client


class Output(StrEnum):
    """Forms of output."""

    TABLE = "table"
    JSON = "json"


@dataclass
class Session:
    """One call of the command line."""

    profile_name: str | None = None
    output: Output | None = None
    _profile: Profile | None = field(default=None, repr=False)

    @property
    def profile(self) -> Profile:
        """The profile to use. Raises NotConfigured, BadProfile."""
        if self._profile is None:
            self._profile = choose_profile(self.profile_name)
        return self._profile

    @property
    def wants_json(self) -> bool:
        """Whether the answer is written as JSON."""
        if self.output is None:
            from_environment = os.environ.get("HALAGE_OUTPUT")
            self.output = parse_output(from_environment or self.profile.output)
        return self.output is Output.JSON

    def connect(self) -> "Client":
        """A client of the profile's server."""
        from halage.client import Client

        return Client(self.profile.url, self.profile.token)

    def show(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], value: Any, *, empty: str) -> None:
        """The value as JSON or as a table."""
        if self.wants_json:
            terminal.print_json(value)
        else:
            terminal.print_table(columns, rows, empty=empty)

    def tell(self, sentence: str, value: Any) -> None:
        """What was done: the value as JSON, or a sentence."""
        if self.wants_json:
            terminal.print_json(value)
        else:
            terminal.print_line(sentence)


def session_of(context: typer.Context) -> Session:
    """The session of the call that a command is part of."""
    session = context.find_root().obj
    assert isinstance(session, Session)
    return session


def parse_output(text: str) -> Output:
    """`table` or `json`. Raises Invalid."""
    try:
        return Output(text)
    except ValueError as error:
        raise Invalid(f"The output is table or json, not {text!r}.") from error


OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="table|json",
        help="How the answer is written.",
        callback=lambda value: _check_output(value),
    ),
]


def takes_output(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the option `--output`, which may thus stand after its name as well as before."""

    @functools.wraps(command)
    def run(*args: Any, output_: str | None = None, **named: Any) -> None:
        context = named.get("context")
        if output_ is not None and context is not None:
            session_of(context).output = Output(output_)
        command(*args, **named)

    option = inspect.Parameter(
        "output_", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=OutputOption
    )
    signature = inspect.signature(command)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, "output_": OutputOption}
    return run


def _check_output(value: str | None) -> str | None:
    """Callback of the option. Raises BadParameter."""
    try:
        return None if value is None else parse_output(value).value
    except Invalid as error:
        raise typer.BadParameter(error.message) from error
