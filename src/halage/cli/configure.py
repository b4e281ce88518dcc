"""`halage configure`: which server, which token; checked before it is kept."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from halage.base.errors import Invalid
from halage.cli import terminal
from halage.cli.profile import DEFAULT, Profile, configuration_directory, read_profiles, write_profile
from halage.cli.session import Output, session_of

_STANDARD_URL = "http://127.0.0.1:7070"


def configure(
    context: typer.Context,
    url: Annotated[str | None, typer.Option(help="The server's address.")] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="A file that holds the API token, such as DATA/admin-token; - is stdin."),
    ] = None,
    default_output: Annotated[Output | None, typer.Option(help="How answers are written by default.")] = None,
) -> None:
    """Keep the address of a server and a token for it. What is not given is asked for.

    The token is never part of the command line, where others could read it.
    """
    session = session_of(context)
    name = session.profile_name or DEFAULT
    directory = configuration_directory()
    kept = read_profiles(directory).get(name)
    if url is None:
        url = _ask("Server", kept.url if kept else _STANDARD_URL)
    output = default_output.value if default_output else kept.output if kept else "table"
    profile = Profile(_with_scheme(url), _token(token_file), output)
    with_name = _check(profile)
    path = write_profile(directory, name, profile)
    terminal.print_note(f"Signed in to {profile.url} as {with_name}. Kept in {path} as profile {name}.")


def _check(profile: Profile) -> str:
    """The name of the token's owner. Raises ProblemError, ServerUnreachable."""
    from halage.client import Client

    with Client(profile.url, profile.token) as client:
        return str(client.show_me()["name"])


def _token(path: Path | None) -> str:
    if path is None:
        if sys.stdin.isatty():
            text = typer.prompt(
                "API token (from `DATA/admin-token` or the console)", hide_input=True, err=True
            )
        else:
            text = sys.stdin.readline()
    elif str(path) == "-":
        text = sys.stdin.readline()
    else:
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"The token cannot be read from {path}: {error}") from error
    if not text.strip():
        raise Invalid("The token is empty: give it by --token-file or on stdin.")
    return str(text).strip()


def _ask(question: str, default: str) -> str:
    if not sys.stdin.isatty():
        return default
    return str(typer.prompt(question, default=default, err=True))


def _with_scheme(url: str) -> str:
    url = url.strip().rstrip("/")
    return url if "://" in url else f"http://{url}"
