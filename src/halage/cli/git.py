"""git as this person's machine has it: running it, and the credential that it uses for a server."""

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from halage.base.errors import HalageError, Unavailable
from halage.base.files import write_atomically


class GitMissing(Unavailable):
    """git is not installed: install it (`apt install git`), then try again."""


class GitFailed(HalageError):
    """git could not do this."""


def run_git(*arguments: str, directory: Path | None = None, check: bool = True) -> str:
    """What `git ARGUMENTS` prints. Raises GitMissing, and GitFailed with what it said."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise GitMissing from error
    if check and done.returncode != 0:
        raise GitFailed(f"`git {arguments[0]}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def is_working_copy(directory: Path) -> bool:
    """Whether a directory is inside of a git working copy."""
    inside = run_git("rev-parse", "--is-inside-work-tree", directory=directory, check=False)
    return inside.strip() == "true"


class CredentialStore:
    """A file of git credentials in the format of `git credential-store`, mode 0600."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "git-credentials"

    def get(self, url: str) -> tuple[str, str] | None:
        """Name and password for a server, None when there are none."""
        for line in self._lines():
            parts = urlsplit(line)
            if _place(line) == _place(url) and parts.username and parts.password:
                return unquote(parts.username), unquote(parts.password)
        return None

    def put(self, url: str, username: str, password: str) -> None:
        """Keep name and password for a server, in place of those that were there."""
        parts = urlsplit(url)
        login = f"{quote(username, safe='')}:{quote(password, safe='')}"
        kept = [line for line in self._lines() if _place(line) != _place(url)]
        self._write([*kept, f"{parts.scheme}://{login}@{parts.netloc}"])

    def drop(self, url: str) -> None:
        """Forget what is kept for a server."""
        lines = self._lines()
        kept = [line for line in lines if _place(line) != _place(url)]
        if kept != lines:
            self._write(kept)

    def install(self, url: str, *, directory: Path | None) -> None:
        """Let git use this file for a server: in one working copy, or (None) for this person everywhere."""
        parts = urlsplit(url)
        key = f"credential.{parts.scheme}://{parts.netloc}.helper"
        scope = ["--global"] if directory is None else ["--local"]
        # The empty value first: other helpers of this person neither keep nor lose this credential.
        run_git("config", *scope, "--replace-all", key, "", directory=directory)
        helper = f"store --file={shlex.quote(str(self.path))}"
        run_git("config", *scope, "--add", key, helper, directory=directory)

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text().splitlines()
        except FileNotFoundError:
            return []

    def _write(self, lines: list[str]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self.path, "".join(f"{line}\n" for line in lines), mode=0o600)


def make_working_copy(directory: Path, files: Mapping[str, bytes], url: str, store: CredentialStore) -> None:
    """A new working copy with these files as its first commit on main, ready for a bare `git push`."""
    run_git("init", "--quiet", "--initial-branch=main", str(directory))
    for name, content in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        if content.startswith(b"#!"):
            target.chmod(0o755)
    run_git("add", "--all", directory=directory)
    run_git(*_author(directory), "commit", "--quiet", "--message", "First version", directory=directory)
    add_remote(directory, "origin", url, store)
    for key, value in (("branch.main.remote", "origin"), ("branch.main.merge", "refs/heads/main")):
        run_git("config", key, value, directory=directory)


def add_remote(directory: Path, name: str, url: str, store: CredentialStore) -> None:
    """Point a remote of a working copy at a project, and let git in there without asking."""
    verb = "set-url" if name in run_git("remote", directory=directory).split() else "add"
    run_git("remote", verb, name, url, directory=directory)
    store.install(url, directory=directory)


def _author(directory: Path) -> list[str]:
    """Options that name an author where this person never told git who they are."""
    if run_git("config", "user.email", directory=directory, check=False).strip():
        return []
    name = re.sub(r"[^\w.-]", "", os.environ.get("USER", "")) or "halage"
    return ["-c", f"user.name={name}", "-c", f"user.email={name}@localhost"]


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2]
