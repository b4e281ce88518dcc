"""`halage git-credential`: a name and password for git; printed, installed, or asked for by git itself."""

import sys
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

import typer

from halage.cli import terminal
from halage.cli.git import CredentialStore
from halage.cli.profile import configuration_directory
from halage.cli.session import Session, session_of


class Asked(StrEnum):
    """What git asks a credential helper."""

    GET = "get"
    STORE = "store"
    ERASE = "erase"


def git_credential(
    context: typer.Context,
    asked: Annotated[
        Asked | None, typer.Argument(help="For git itself: the protocol of its helpers.")
    ] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Let git use it for this server, in every working copy.")
    ] = False,
) -> None:
    """Print a credential for git, made for you; `--install` sets git up so that it never asks.

    As a helper: `git config --global credential.URL.helper '!halage git-credential'`.
    """
    session = session_of(context)
    if asked is not None:
        _answer_git(session, asked)
        return
    store = CredentialStore(configuration_directory())
    if install:
        username, _ = ensure_credential(session, store)
        store.install(session.profile.url, directory=None)
        terminal.print_note(f"git pushes to {session.profile.url} as {username} from now on, without asking.")
        return
    with session.connect() as client:
        made = client.create_git_credential()
    if session.wants_json:
        terminal.print_json(made)
    else:
        terminal.print_note(f"For git at {session.profile.url}; shown once:")
        terminal.print_line(f"username={made['username']}\npassword={made['password']}")


def ensure_credential(session: Session, store: CredentialStore) -> tuple[str, str]:
    """Name and password for git at the profile's server: those that are kept, else new ones."""
    url = session.profile.url
    if (kept := store.get(url)) is not None and _is_known(url, kept):
        return kept
    with session.connect() as client:
        made = client.create_git_credential()
    username, password = str(made["username"]), str(made["password"])
    store.put(url, username, password)
    return username, password


def _is_known(url: str, credential: tuple[str, str]) -> bool:
    """Whether the server takes it: it was revoked, or the server was installed anew, if not."""
    import httpx

    try:
        answer = httpx.get(f"{url}/git/any.git/info/refs?service=git-upload-pack", auth=credential)
    except httpx.HTTPError:
        return True  # no verdict: git itself will say what is wrong
    return answer.status_code != httpx.codes.UNAUTHORIZED


def _answer_git(session: Session, asked: Asked) -> None:
    """One question of git's; see `git help credential` for the protocol."""
    question = dict(line.rstrip("\n").split("=", 1) for line in sys.stdin if "=" in line)
    ours = urlsplit(session.profile.url)
    if (question.get("protocol"), question.get("host")) != (ours.scheme, ours.netloc):
        return  # not our server: git asks its next helper
    store = CredentialStore(configuration_directory())
    if asked is Asked.ERASE:
        store.drop(session.profile.url)
    elif asked is Asked.GET:
        username, password = ensure_credential(session, store)
        sys.stdout.write(f"username={username}\npassword={password}\n")
