"""`halage env certificate`: what visitors are shown by HTTPS."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from halage.base.errors import Invalid
from halage.cli import terminal
from halage.cli.session import Session, session_of
from halage.cli.words import local

if TYPE_CHECKING:
    from halage.client import Client

Project = Annotated[str | None, typer.Argument(help="The project's name.")]
Environment = Annotated[str | None, typer.Argument(help="The environment's name, such as prod.")]
Console = Annotated[bool, typer.Option("--console", help="That of the console's own host name.")]
Place = tuple[str, str] | None


def show(
    context: typer.Context, project: Project = None, environment: Environment = None, console: Console = False
) -> None:
    """Show a certificate: what it is good for, who signed it, when it ends. Never its key."""
    session = session_of(context)
    with session.connect() as client:
        place = _place(project, environment, console)
        found = client.show_certificate(*place) if place else client.show_console_certificate()
    if session.wants_json:
        terminal.print_json(found)
    else:
        _print(found)


def set_(
    context: typer.Context,
    project: Project = None,
    environment: Environment = None,
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="PEM, with the chain to its issuer; - is stdin.",
            exists=True,
            dir_okay=False,
            allow_dash=True,
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="PEM; without: at the end of the certificate's file.", exists=True, dir_okay=False),
    ] = None,
    console: Console = False,
) -> None:
    """Give a certificate; visitors are shown it at once."""
    place = _place(project, environment, console)
    if certificate is None:
        raise Invalid("Say which file holds it: --certificate FILE (PEM), and --key FILE.")
    chain = sys.stdin.read() if str(certificate) == "-" else _read(certificate)
    session = session_of(context)
    wanted = {"certificate": chain, "key": _read(key) if key is not None else ""}
    with session.connect() as client:
        _tell(session, _set(client, place, wanted))


def make(
    context: typer.Context,
    project: Project = None,
    environment: Environment = None,
    self_signed: Annotated[
        bool, typer.Option("--self-signed", help="Not by this server's authority, but by itself.")
    ] = False,
    console: Console = False,
) -> None:
    """Let a certificate be made for all its host names; it is renewed by itself."""
    place = _place(project, environment, console)
    session = session_of(context)
    with session.connect() as client:
        _tell(session, _set(client, place, {"origin": "self_signed" if self_signed else "made"}))


def remove(
    context: typer.Context, project: Project = None, environment: Environment = None, console: Console = False
) -> None:
    """Forget a certificate; where HTTPS is on, one is made in its place."""
    place = _place(project, environment, console)
    session = session_of(context)
    with session.connect() as client:
        if place:
            client.remove_certificate(*place)
        else:
            client.remove_console_certificate()
    session.tell("Removed.", {"removed": True})


def authority(context: typer.Context) -> None:
    """Print the certificate of this server's authority (PEM): who trusts it trusts every made one."""
    session = session_of(context)
    with session.connect() as client:
        found = client.show_authority()
    if session.wants_json:
        terminal.print_json(found)
    else:
        typer.echo(found["chain"], nl=False)


def _place(project: str | None, environment: str | None, console: bool) -> Place:
    if console and project is None:
        return None
    if console or project is None or environment is None:
        raise Invalid("Say whose certificate: a project and an environment, or --console.")
    return project, environment


def _set(client: "Client", place: Place, wanted: dict[str, Any]) -> dict[str, Any]:
    return client.set_certificate(*place, wanted) if place else client.set_console_certificate(wanted)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        raise Invalid(
            f"{path} is not PEM, which is text (`openssl x509 -inform der -in FILE` makes it of DER)"
        ) from None


def _tell(session: Session, found: dict[str, Any]) -> None:
    if session.wants_json:
        terminal.print_json(found)
    else:
        _print(found)
        if not found["served"]:
            terminal.print_note(
                found["refused"] or "HTTPS is off: it is shown once `https` of its balancer settings is on."
            )


def _print(found: dict[str, Any]) -> None:
    terminal.print_facts(
        [
            ("origin", found["origin"].replace("_", "-")),
            ("good for", ", ".join(found["names"])),
            ("served", ", ".join(found["served"]) or "-"),
            *([("not covered", ", ".join(found["not_covered"]))] if found["not_covered"] else []),
            *([("refused", found["refused"])] if found["refused"] else []),
            ("issuer", found["issuer"]),
            ("ends", local(found["ends_at"])),
            ("SHA-256", found["fingerprint"]),
            ("set", f"{local(found['updated_at'])} by {found['updated_by']}"),
        ]
    )
