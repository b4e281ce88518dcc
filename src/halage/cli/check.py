"""`halage check`: whether a working copy says of itself what a server can use."""

from pathlib import Path
from typing import Annotated

import typer

from halage.cli import terminal
from halage.cli.exits import FAILED, Failed
from halage.cli.session import session_of

_STANDARD_TYPES = ("nano", "micro", "small", "medium")


def check(
    context: typer.Context,
    directory: Annotated[
        Path, typer.Argument(help="The working copy.", file_okay=False, exists=True)
    ] = Path(),
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", help="An instance type that your server adds; may be repeated."),
    ] = None,
) -> None:
    """Check a working copy's halage.toml, and show what the server would do with it. Needs no server."""
    from halage.site.check import check_directory, summary_of
    from halage.site.document import site_to_document
    from halage.site.errors import SiteInvalid

    session = session_of(context)
    is_json = session.output is not None and session.wants_json
    try:
        site = check_directory(directory, (*_STANDARD_TYPES, *(type_ or ())))
    except SiteInvalid as error:
        if is_json:
            terminal.print_json({"is_valid": False, "problems": [str(each) for each in error.problems]})
            raise typer.Exit(FAILED) from error
        raise Failed(error.message) from error
    if is_json:
        terminal.print_json({"is_valid": True, "site": site_to_document(site)})
        return
    terminal.print_facts(summary_of(site))
    for warning in site.warnings:
        terminal.print_note(f"Warning: {warning}", "yellow")
    terminal.print_note("Everything is in order.", "green")
