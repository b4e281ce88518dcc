"""What a push is, who is told of it, and what Halage knows of a commit."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

ABSENT = "0" * 40
"""The object id that stands for "no such ref": before a ref's creation and after its deletion."""

DEFAULT_BRANCH = "main"


class Account(Protocol):
    """The user and group that a checkout belongs to."""

    @property
    def uid(self) -> int:
        """Numeric user id."""
        ...

    @property
    def gid(self) -> int:
        """Numeric group id."""
        ...


@dataclass(frozen=True, slots=True)
class RefChange:
    """One ref that a push moves, from an object id to another (ABSENT: created, deleted)."""

    ref: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Push:
    """One ref that was pushed: the ref is already changed when this is told."""

    project: str
    ref: str
    old: str
    new: str
    pusher: str
    options: tuple[str, ...] = ()
    """What the pusher gave with `git push -o`, as it is: check before use."""
    is_reconciled: bool = False
    """Found by comparing the refs, because nobody was there to hear of the push."""

    @property
    def branch(self) -> str | None:
        """The branch's short name; None for a tag."""
        prefix = "refs/heads/"
        return self.ref.removeprefix(prefix) if self.ref.startswith(prefix) else None

    @property
    def is_deletion(self) -> bool:
        """Whether the ref was deleted: there is no commit to run anything for."""
        return self.new == ABSENT


@dataclass(frozen=True, slots=True)
class PushAnswer:
    """What the pusher reads: `lines` at once, then `progress` when he pushed with `-o wait`."""

    lines: tuple[str, ...] = ()
    progress: AsyncIterator[str] | None = None
    """Ends when the run ends. It is closed early when the pusher goes away: that stops no run."""


class PushConsumer(Protocol):
    """Who is told of pushes; the pipeline."""

    async def pushed(self, push: Push) -> PushAnswer:
        """Record what the push starts, and return; do not wait for it.

        Called once for each changed ref of a push, one call at a time for each project. Call
        `store.remember_ref` in the transaction that records the push, so that a crash before it
        leads to one more call at the next start and a crash after it to none. Tags and deletions
        are told as well. What raises Unavailable, or an error that is not Halage's, is tried
        again later; another HalageError is shown to the pusher and the push counts as told.
        """
        ...


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit, with text that is safe to print on a terminal."""

    sha: str
    title: str
    author: str
    at: float
    """When it was committed (not authored)."""


@dataclass(frozen=True, slots=True)
class GitTree:
    """The root of one commit and those of its files that tell what kind of site it is.

    It is what `halage.site` reads a site from (`site.Tree`).
    """

    sha: str
    entries: frozenset[str]
    files: Mapping[str, str | None]

    def names(self) -> frozenset[str]:
        """The names in the root directory."""
        return self.entries

    def read(self, path: str) -> str | None:
        """The text of one of the files that were loaded, None when the commit has no such file.

        Raises KeyError for a file that exists and was not among those asked for.
        """
        if path not in self.files and path.split("/")[0] not in self.entries:
            return None
        return self.files[path]
