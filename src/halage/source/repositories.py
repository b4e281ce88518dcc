"""The bare repositories: made, deleted, and read."""

import asyncio
import contextlib
import shutil
from collections.abc import Collection, Iterable

from halage.base.files import sync_directory
from halage.base.ids import new_id
from halage.site.tree import SITE_FILES
from halage.source.errors import CommitMissing, GitFailed, RepositoryExists, RepositoryMissing
from halage.source.git import Git
from halage.source.model import Commit, GitTree
from halage.source.objects import ObjectReader
from halage.source.rules import choose_default, is_sha, printable, ref_problem, validate_name

KIND_FILES = SITE_FILES
"""The files of a commit that tell what kind of site it is."""

SIGN_FILES = frozenset({"public/index.html", "public/index.php", "vendor/autoload.php"})
"""Those that tell it by being there; their text does not count, so they may be of any size."""

MAX_FILE_BYTES = 1024 * 1024
MAX_TARGET_BYTES = 4096
"""As long as Linux allows the target of a symbolic link to be."""

# `git archive` would leave out what a site marks export-ignore (its tests, often): a build wants
# a checkout. Only this file of the repository overrules the .gitattributes of a commit.
_ATTRIBUTES = "* -export-ignore -export-subst\n"

STALE_LOCK_S = 10.0

_COMMIT_FORMAT = "%H%x00%ct%x00%an%x00%s%x00"


class Repositories:
    """Creates and deletes repositories and reads refs, commits and trees from them."""

    def __init__(self, git: Git) -> None:
        self._git = git

    def names(self) -> list[str]:
        """The projects that have a repository."""
        return sorted(path.name.removesuffix(".git") for path in self._git.directory.glob("[a-z]*.git"))

    def exists(self, project: str) -> bool:
        """Whether the project has a repository."""
        return (self._git.directory / f"{project}.git").is_dir()

    async def create(self, project: str) -> None:
        """Make an empty bare repository; it is wholly there or not at all.

        Raises NameInvalid and RepositoryExists.
        """
        path = self._git.directory / f"{validate_name(project)}.git"
        if path.exists():
            raise RepositoryExists(f"There is already a repository of a project {project}.", project=project)
        temporary = self._git.directory / f".{new_id('new')}"
        try:
            await self._git.run(temporary, "init", "--quiet", "--bare", "--template=")
            (temporary / "info").mkdir(exist_ok=True)
            (temporary / "info" / "attributes").write_text(_ATTRIBUTES)
            temporary.rename(path)
            sync_directory(self._git.directory)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    async def delete(self, project: str) -> None:
        """Delete a repository, at once for all who look; it may be missing already."""
        with contextlib.suppress(RepositoryMissing, FileNotFoundError):
            rubbish = self._git.directory / f".{new_id('old')}"
            self._git.repository(project).rename(rubbish)
            await asyncio.to_thread(shutil.rmtree, rubbish, ignore_errors=True)

    async def refs(self, project: str) -> dict[str, str]:
        """The branches and tags that Halage can use, by full name, with their object ids."""
        output = await self._git.run(
            self._git.repository(project),
            "for-each-ref",
            "--format=%(objectname) %(refname)",
            "refs/heads",
            "refs/tags",
        )
        pairs = (line.split(" ", 1) for line in output.decode(errors="replace").splitlines())
        return {ref: sha for sha, ref in pairs if ref_problem(ref) is None}

    def default_ref(self, project: str) -> str:
        """The full name of the branch that a clone checks out; it may not exist yet."""
        return (self._git.repository(project) / "HEAD").read_text().strip().removeprefix("ref: ")

    async def adopt_default(self, project: str) -> None:
        """Let a clone check out a branch that exists, when the default one does not."""
        refs = await self.refs(project)
        chosen = choose_default(refs)
        if self.default_ref(project) not in refs and chosen is not None:
            await self._git.run(self._git.repository(project), "symbolic-ref", "HEAD", chosen)

    async def commit(self, project: str, sha: str) -> Commit:
        """What is to be shown of a commit; of an annotated tag's commit as well. Raises CommitMissing."""
        found = await self._log(project, _commit_name(project, sha), 1)
        return found[0]

    async def commits(self, project: str, ref: str, limit: int) -> list[Commit]:
        """The latest commits of a branch (short or full name), a tag's full name or an object id."""
        name = ref if ref.startswith("refs/") or is_sha(ref) else f"refs/heads/{ref}"
        if not is_sha(name) and (await self.refs(project)).get(name) is None:
            raise CommitMissing(
                f"Project {project} has no branch {printable(ref)}.", project=project, ref=ref
            )
        return await self._log(project, f"{name}^{{commit}}", limit)

    async def _log(self, project: str, revision: str, limit: int) -> list[Commit]:
        try:
            output = await self._git.run(
                self._git.repository(project),
                "log",
                f"--max-count={limit}",
                f"--format={_COMMIT_FORMAT}",
                "--no-show-signature",
                revision,
                "--",
            )
        except GitFailed as error:
            raise _missing(project, revision.partition("^")[0]) from error
        return _commits(output.decode(errors="replace").split("\0"))

    async def tree(self, project: str, sha: str, files: Collection[str] = KIND_FILES) -> GitTree:
        """The root of a commit and the text of some of its files, read by one process.

        Links inside the tree are followed. Raises CommitMissing, and FileTooBig for a file
        of more than 1 MiB; of one of SIGN_FILES the beginning is enough.
        """
        name = _commit_name(project, sha)
        async with ObjectReader(self._git, self._git.repository(project)) as objects:
            root = await objects.read(
                f"{name}^{{tree}}", "the root directory", 16 * MAX_FILE_BYTES, kind="tree"
            )
            if root is None:
                raise _missing(project, sha)
            texts: dict[str, str | None] = {}
            for path in files:
                is_sign = path in SIGN_FILES
                content = await objects.read(f"{name}:{path}", path, MAX_FILE_BYTES, may_cut=is_sign)
                texts[path] = None if content is None else content.decode(errors="replace")
        return GitTree(sha, frozenset(_entries(root)), texts)

    async def links(self, project: str, sha: str) -> dict[str, str]:
        """The symbolic links of a commit: path to target. Raises CommitMissing."""
        repository = self._git.repository(project)
        try:
            listing = await self._git.run(repository, "ls-tree", "-r", "-z", _commit_name(project, sha))
        except GitFailed as error:
            raise _missing(project, sha) from error
        blobs = dict(_link_blobs(listing))
        if not blobs:
            return {}
        targets: dict[str, str] = {}
        async with ObjectReader(self._git, repository) as objects:
            for path, blob in blobs.items():
                target = await objects.read(blob, f"the link {printable(path)}", MAX_TARGET_BYTES)
                targets[path] = (target or b"").decode(errors="surrogateescape")
        return targets

    async def tidy(self, project: str) -> None:
        """Pack the repository when it has become worth it, and drop what a crash left behind."""
        repository = self._git.repository(project)
        try:
            await self._git.run(repository, "-c", "gc.auto=6700", "-c", "gc.autoDetach=false", "gc", "--auto")
        except GitFailed:
            if self.exists(project):
                raise

    def sweep(self, now: float) -> None:
        """Drop what a crash or a power cut left: half-made and half-deleted repositories, stale locks.

        A lock of git's is held for moments; one that stays would refuse each later push.
        """
        for pattern in (".new-*", ".old-*"):
            for rubbish in self._git.directory.glob(pattern):
                shutil.rmtree(rubbish, ignore_errors=True)
        for project in self.names():
            repository = self._git.repository(project)
            locks = [*repository.glob("*.lock"), *repository.glob("refs/**/*.lock")]
            for lock in locks:
                if lock.is_file() and lock.stat().st_mtime < now - STALE_LOCK_S:
                    lock.unlink(missing_ok=True)

    async def drop_quarantines(self, project: str) -> None:
        """Drop what cut-off pushes left. No push to the project may be under way.

        Git keeps the objects of a push apart until it is accepted, and does not remove them
        itself when a signal ends it.
        """
        for rubbish in self._git.repository(project).glob("objects/tmp_objdir-*"):
            await asyncio.to_thread(shutil.rmtree, rubbish, ignore_errors=True)


def _entries(tree: bytes) -> Iterable[str]:
    """The names in a raw tree object: `MODE NAME`, a zero byte, 20 bytes of object id, and so on."""
    at = 0
    while at < len(tree):
        name_at = tree.index(b" ", at) + 1
        end = tree.index(b"\0", name_at)
        yield tree[name_at:end].decode(errors="surrogateescape")
        at = end + 21


def _link_blobs(listing: bytes) -> Iterable[tuple[str, str]]:
    for line in listing.split(b"\0"):
        if line.startswith(b"120000 "):
            about, _, path = line.partition(b"\t")
            yield path.decode(errors="surrogateescape"), about.split()[2].decode()


def _commits(fields: list[str]) -> list[Commit]:
    rows = [fields[at : at + 4] for at in range(0, len(fields) - 1, 4)]
    return [
        Commit(sha=sha.strip(), title=printable(title), author=printable(author), at=float(at))
        for sha, at, author, title in rows
    ]


def _commit_name(project: str, sha: str) -> str:
    if not is_sha(sha):
        raise _missing(project, sha)
    return sha


def _missing(project: str, sha: str) -> CommitMissing:
    return CommitMissing(f"Project {project} has no commit {printable(sha)}.", project=project, sha=sha)
