"""`halage demo`: the main job, from an empty directory to a second deployment under load."""

from typing import Annotated

import typer


def demo(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="End and clean up by itself.")] = False,
    rate: Annotated[float, typer.Option(min=1, max=500, help="Requests per second of the prober.")] = 25,
    template: Annotated[str, typer.Option(help="laravel, python, node or static.")] = "laravel",
) -> None:
    """Show the main job on a server of its own, in a temporary directory."""
    from halage.cli.demonstration import run_demo

    raise typer.Exit(run_demo(once=once, rate=rate, template=template))
