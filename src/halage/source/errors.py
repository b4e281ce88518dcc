"""What can go wrong with repositories, commits and checkouts."""

from halage.base.errors import Conflict, Invalid, NotFound, Unavailable


class NameInvalid(Invalid):
    """The name cannot be a project's name."""


class RepositoryExists(Conflict):
    """There is already a repository of that name."""


class RepositoryMissing(NotFound):
    """There is no repository of that name."""


class CommitMissing(NotFound):
    """The repository does not hold that commit."""


class LinkEscapes(Invalid):
    """The commit holds a symbolic link that leads out of the site."""


class FileTooBig(Invalid):
    """A file that Halage must read is too big."""


class DestinationInUse(Conflict):
    """The directory that a commit is to be unpacked into is not empty."""


class GitFailed(Unavailable):
    """A git command failed."""
