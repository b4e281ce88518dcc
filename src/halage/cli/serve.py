"""`halage serve`: the server itself; the one command that is no client."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halage.cli import terminal

if TYPE_CHECKING:
    from halage.assembly.server import Started

Data = Annotated[Path | None, typer.Option(help="Where everything is kept.", file_okay=False)]


def serve(
    data: Data = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT of the console, API and git.")] = None,
    http: Annotated[str | None, typer.Option(help="HOST:PORT of the balancer, for visitors.")] = None,
    domain: Annotated[str | None, typer.Option(help="Sites are PROJECT.DOMAIN.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="The settings, a TOML file.", dir_okay=False, exists=True)
    ] = None,
) -> None:
    """Run the server until SIGTERM. The sites and their balancer go on without it."""
    from halage.assembly.server import serve as run_server
    from halage.assembly.settings_sources import load_settings

    flags = {"config": config, "data": data, "listen": listen, "http": http, "domain": domain}
    run_server(load_settings(flags, os.environ), _announce)


def teardown(
    data: Data = None,
    config: Annotated[
        Path | None, typer.Option(help="The settings, a TOML file.", dir_okay=False, exists=True)
    ] = None,
) -> None:
    """End every instance and the balancer of a stopped server. Its data stays."""
    from halage.assembly.settings_sources import load_settings
    from halage.assembly.teardown import teardown as end_all

    end_all(load_settings({"config": config, "data": data}, os.environ))


def _announce(started: "Started") -> None:
    terminal.print_facts(
        [("console, API, git", started.listen), ("sites", started.http), ("data", started.data)]
    )
    for sentence in started.abilities:
        terminal.print_line(f"  {sentence}", "dim")
    if started.login_link is not None:
        terminal.print_line("Sign in to the console with this link; it works once, for 24 hours:", "bold")
        terminal.print_line(f"  {started.login_link}")
        terminal.print_line("Then, in a second terminal:")
        terminal.print_line(
            f"  halage configure --url {started.listen} --token-file {started.data}/admin-token"
        )
        terminal.print_line("  halage project create boutique --template laravel")
