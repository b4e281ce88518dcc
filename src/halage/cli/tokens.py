"""`halage token`: API tokens of one's own."""

import time
from typing import Annotated, Any

import typer

from halage.cli import terminal
from halage.cli.session import session_of
from halage.cli.words import local, moment


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How long it lasts; without: until it is revoked.")
    ] = None,
) -> None:
    """Make an API token, and print it this once."""
    session = session_of(context)
    lifetime_s = None if days is None else days * 86400
    with session.connect() as client:
        token = client.create_token(name, lifetime_s=lifetime_s)
    if session.wants_json:
        terminal.print_json(token)
        return
    terminal.print_note(f"Made {token['id']}. This is shown once:")
    terminal.print_line(token["token"])


def list_(context: typer.Context) -> None:
    """List one's tokens and git credentials, without their secrets."""
    session = session_of(context)
    with session.connect() as client:
        tokens = client.list_tokens()
    rows = [
        [
            each["id"],
            each["name"],
            each["kind"],
            terminal.coloured(_state(each)),
            local(each["created_at"]),
            local(each["expires_at"]),
            local(each["last_used_at"]),
        ]
        for each in tokens
    ]
    columns = ("id", "name", "kind", "state", "made", "expires", "last used")
    session.show(columns, rows, tokens, empty="There are no tokens.")


def revoke(
    context: typer.Context,
    token_id: Annotated[str, typer.Argument(help="The token's id, from `token list`.")],
) -> None:
    """End a token or a git credential at once."""
    session = session_of(context)
    with session.connect() as client:
        client.revoke_token(token_id)
    session.tell(f"{token_id} opens nothing any more.", {"id": token_id, "is_revoked": True})


def _state(token: dict[str, Any]) -> str:
    if token["revoked_at"]:
        return "revoked"
    expires_at = moment(token["expires_at"])
    return "expired" if expires_at and expires_at.timestamp() < time.time() else "active"
