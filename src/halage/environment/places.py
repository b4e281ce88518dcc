"""Where the files of an environment are, and who owns them.

    sites/PROJECT/ENVIRONMENT/releases/NUMBER/    a release, unpacked
    sites/PROJECT/ENVIRONMENT/persistent/...      what a site keeps between releases
    sites/PROJECT/ENVIRONMENT/private/INSTANCE/   home, temporary files and served configuration

The last level of directories belongs to the project's own account. Whatever is written below it
is written by a process that runs as that account: a site that plants symbolic links there gains
nothing that it could not do anyway.
"""

import asyncio
import contextlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import IO

import zstandard

from halage.base.errors import HalageError
from halage.base.objects import ObjectStore
from halage.compute.model import Account
from halage.environment.tables.store import Place

_UNPACK = """
set -eu
staging=$1 final=$2 kept=$3
shift 3
rm -rf -- "$staging"
mkdir -- "$staging"
tar --extract --no-same-owner --directory "$staging"
for name; do
  inside=$staging/$name
  if [ ! -e "$kept/$name" ]; then
    mkdir -p -- "$(dirname -- "$kept/$name")"
    if [ -e "$inside" ] && [ ! -L "$inside" ]; then mv -- "$inside" "$kept/$name"
    else mkdir -- "$kept/$name"; fi
  fi
  rm -rf -- "$inside"
  mkdir -p -- "$(dirname -- "$inside")"
  ln -s -- "$kept/$name" "$inside"
done
mv -- "$staging" "$final"
"""
_PLACE_FILES = """
set -eu
mkdir -p -- "$1/tmp"
tar --extract --no-same-owner --directory "$1"
"""


class UnpackFailed(HalageError):
    """The release could not be unpacked."""


class Places:
    """The directories of all environments below `sites/`. Methods that touch much run in a thread."""

    def __init__(self, directory: Path, objects: ObjectStore) -> None:
        self._directory = directory
        self._objects = objects
        directory.mkdir(exist_ok=True)
        directory.chmod(0o711)

    def release(self, place: Place, number: int) -> Path:
        """The directory of an unpacked release (there or not)."""
        return self._of(place) / "releases" / str(number)

    def private(self, place: Place, name: str) -> Path:
        """The directory that an instance has for itself (there or not)."""
        return self._of(place) / "private" / name

    async def unpack(
        self, place: Place, number: int, digest: str, persistent: Iterable[str], account: Account | None
    ) -> None:
        """Unpack a bundle as release `number`, wholly or not at all; nothing to do if it is there.

        The digest is verified first. Raises ObjectMissing, ObjectDamaged, UnpackFailed.
        """
        if not self.release(place, number).exists():
            await asyncio.to_thread(self._unpack, place, number, digest, tuple(persistent), account)

    async def make_private(
        self, place: Place, name: str, files: Mapping[str, str], account: Account | None
    ) -> Path:
        """An instance's own directory with the files (by relative path) that its serving needs."""
        await asyncio.to_thread(self._make_private, place, name, files, account)
        return self.private(place, name)

    def forget_private(self, place: Place, name: str) -> None:
        """Remove an ended instance's own directory."""
        shutil.rmtree(self.private(place, name), ignore_errors=True)

    def prune(self, place: Place, keep: Iterable[int]) -> None:
        """Remove every unpacked release but these."""
        kept = {str(number) for number in keep}
        releases = self._of(place) / "releases"
        for path in releases.iterdir() if releases.exists() else ():
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def prune_private(self, place: Place, keep: Collection[str]) -> None:
        """Remove every own directory of an instance but these."""
        private = self._of(place) / "private"
        for path in private.iterdir() if private.exists() else ():
            if path.name not in keep:
                shutil.rmtree(path, ignore_errors=True)

    def forget_project(self, project: str) -> None:
        """Remove everything of a project."""
        shutil.rmtree(self._directory / project, ignore_errors=True)

    def forget_environment(self, place: Place) -> None:
        """Remove everything of one environment."""
        shutil.rmtree(self._of(place), ignore_errors=True)

    def _of(self, place: Place) -> Path:
        return self._directory / place[0] / place[1]

    def _make(self, place: Place, kind: str, account: Account | None) -> Path:
        """One of the three directories that belong to the account."""
        for directory in (self._directory / place[0], self._of(place)):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o711)
        path = self._of(place) / kind
        if not path.exists():
            path.mkdir(mode=0o700)
            if account is not None:
                os.chown(path, account.uid, account.gid)
        return path

    def _unpack(
        self, place: Place, number: int, digest: str, persistent: tuple[str, ...], account: Account | None
    ) -> None:
        releases = self._make(place, "releases", account)
        kept = self._make(place, "persistent", account)
        final = releases / str(number)
        names = [str(releases / f".{number}.new"), str(final), str(kept), *persistent]
        with self._objects.open(digest) as packed:
            decompress = zstandard.ZstdDecompressor().copy_stream
            _run_as(account, _UNPACK, names, lambda pipe: decompress(packed, pipe))

    def _make_private(
        self, place: Place, name: str, files: Mapping[str, str], account: Account | None
    ) -> None:
        path = self._make(place, "private", account) / name
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for file, content in files.items():
                entry = tarfile.TarInfo(file)
                entry.mode, entry.size = 0o600, len(content.encode())
                tar.addfile(entry, io.BytesIO(content.encode()))
        _run_as(account, _PLACE_FILES, [str(path)], lambda pipe: pipe.write(packed.getvalue()))


def _run_as(
    account: Account | None, script: str, arguments: list[str], feed: Callable[[IO[bytes]], object]
) -> None:
    shell = subprocess.Popen(
        ["/bin/sh", "-c", script, "halage", *arguments],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        umask=0o077,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    assert shell.stdin is not None and shell.stderr is not None
    with contextlib.suppress(BrokenPipeError), shell.stdin:
        feed(shell.stdin)
    problem = shell.stderr.read().decode(errors="replace").strip()
    shell.stderr.close()
    if shell.wait() != 0:
        raise UnpackFailed(f"{arguments[0]} could not be filled: {problem}")
