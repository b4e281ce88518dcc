"""`halage user`: people."""

import sys
from typing import Annotated

import typer

from halage.cli import terminal
from halage.cli.session import session_of
from halage.cli.words import local


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The name to sign in with.")],
    admin: Annotated[bool, typer.Option("--admin", help="May do everything on this server.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read a first password from stdin.")
    ] = False,
) -> None:
    """Add a person, and print the link for their first sign-in."""
    session = session_of(context)
    password = sys.stdin.readline().rstrip("\n") if password_stdin else None
    with session.connect() as client:
        user = client.add_user(name, password=password, is_admin=admin)
    if session.wants_json:
        terminal.print_json(user)
        return
    terminal.print_note(f"Added {name}. This link signs them in once, within 24 hours:")
    terminal.print_line(user["login_link"])
    if not admin:
        terminal.print_note(
            f"`halage project member set PROJECT {name} developer` lets them work on a project."
        )


def list_(context: typer.Context) -> None:
    """List everyone."""
    session = session_of(context)
    with session.connect() as client:
        users = client.list_users()
    rows = [
        [each["name"], "yes" if each["is_admin"] else "", local(each["created_at"]), local(each["ended_at"])]
        for each in users
    ]
    session.show(("name", "administrator", "since", "until"), rows, users, empty="Nobody.")


def end(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Who leaves.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Let a person in no more: tokens, git credentials, sessions and roles end at once."""
    if not yes:
        typer.confirm(f"End {name}'s account?", abort=True, err=True)
    session = session_of(context)
    with session.connect() as client:
        client.end_user(name)
    terminal.print_note(f"{name} may sign in no more; the name stays in the journal.")


def login_link(
    context: typer.Context, name: Annotated[str, typer.Argument(help="Who lost their password.")]
) -> None:
    """Print a new link that signs a person in once, within 24 hours."""
    session = session_of(context)
    with session.connect() as client:
        made = client.create_login_link(name)
    if session.wants_json:
        terminal.print_json(made)
    else:
        terminal.print_line(made["login_link"])
