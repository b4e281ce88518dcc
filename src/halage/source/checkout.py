"""A commit, unpacked into a fresh directory."""

import asyncio
import os
import shutil
from pathlib import Path

from halage.base.database import StorageFull
from halage.source.errors import DestinationInUse, GitFailed, LinkEscapes
from halage.source.git import Git, end_process, git_failure
from halage.source.links import find_escape
from halage.source.model import Account
from halage.source.repositories import Repositories
from halage.source.rules import printable

CHECKOUT_TIMEOUT_S = 600.0


async def unpack_commit(
    git: Git, repositories: Repositories, project: str, sha: str, destination: Path, account: Account | None
) -> None:
    """Unpack every file of a commit into `destination`, which becomes the account's, mode 0700.

    `git archive` streams into `tar`, so that no file is ever held in memory; with an account,
    tar itself runs as that user and cannot write where the user may not. No link of the commit
    leads out of `destination`: such a commit is refused before anything is written. Nothing is
    said of links that commands make later. Submodules become empty directories and the pointer
    files of Git LFS stay pointers. After an error, `destination` is gone.

    Raises CommitMissing, LinkEscapes, DestinationInUse, StorageFull and GitFailed.
    """
    await _refuse_escapes(repositories, project, sha)
    _make_fresh(destination, account)
    try:
        async with asyncio.timeout(CHECKOUT_TIMEOUT_S):
            await _stream(git, git.repository(project), sha, destination, account)
    except TimeoutError as error:
        await _remove(destination)
        raise GitFailed(
            f"Unpacking {sha} of {project} took longer than {CHECKOUT_TIMEOUT_S:.0f} s."
        ) from error
    except BaseException:
        await _remove(destination)
        raise


async def _refuse_escapes(repositories: Repositories, project: str, sha: str) -> None:
    links = await repositories.links(project, sha)
    path = find_escape(links)
    if path is not None:
        shown, target = printable(path), printable(links[path])
        raise LinkEscapes(
            f"The symbolic link {shown} leads to {target}, which is outside of the site. Make it point to a "
            "file of the repository with a relative path, or remove it, and push again.",
            path=shown,
            target=target,
        )


def _make_fresh(destination: Path, account: Account | None) -> None:
    try:
        destination.mkdir(mode=0o700, exist_ok=True)
        if any(destination.iterdir()):
            raise DestinationInUse(
                f"{destination} is not empty: a commit is unpacked into a fresh directory."
            )
        if account is not None:
            os.chown(destination, account.uid, account.gid)
    except OSError as error:
        raise GitFailed(f"{destination} cannot be made: {error.strerror}.") from error


async def _stream(git: Git, repository: Path, sha: str, destination: Path, account: Account | None) -> None:
    readable, writable = os.pipe()
    try:
        archiving = await git.start(repository, "archive", "--format=tar", sha, stdout=writable)
        os.close(writable)
        writable = -1
        unpacking = await _start_tar(git, readable, destination, account)
    finally:
        for descriptor in (readable, writable):
            if descriptor >= 0:
                os.close(descriptor)
    try:
        (_, complaint), (_, tar_complaint) = await asyncio.gather(
            archiving.communicate(), unpacking.communicate()
        )
    finally:
        await end_process(archiving)
        await end_process(unpacking)
    if unpacking.returncode:
        raise _tar_failure(unpacking.returncode, tar_complaint)
    if archiving.returncode:
        raise git_failure("archive", archiving.returncode, complaint)


async def _start_tar(
    git: Git, archive: int, destination: Path, account: Account | None
) -> asyncio.subprocess.Process:
    # setpriv, because `user=` costs the fast way to start a process (vfork); it drops every capability.
    become = [] if account is None else ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}"]
    become += [] if account is None else ["--clear-groups", "--no-new-privs"]
    return await asyncio.create_subprocess_exec(
        *become,
        "tar",
        "--extract",
        "--same-permissions",
        "--no-same-owner",
        "--file=-",
        f"--directory={destination}",
        stdin=archive,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**git.environment(), "HOME": "/"},
        cwd="/",
        start_new_session=True,
    )


def _tar_failure(code: int, complaint: bytes) -> GitFailed | StorageFull:
    text = complaint.decode(errors="replace").strip()
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return StorageFull()
    return GitFailed(f"The commit could not be unpacked; tar said: {text[-2000:]}", code=code)


async def _remove(destination: Path) -> None:
    await asyncio.to_thread(shutil.rmtree, destination, ignore_errors=True)
