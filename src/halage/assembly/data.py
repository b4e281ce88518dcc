"""The data directory: made at the first start, locked by the one server that uses it."""

import fcntl
import os
from pathlib import Path

from halage.assembly.errors import DataInUse

GUARDED = ("repositories", "run", "balancer", "objects", "jobs")
"""Directories that nobody but the server enters. The others are passed through by the sites."""


def prepare_data(directory: Path) -> None:
    """Make the data directory. Its own mode lets the accounts of sites pass, each entry guards itself."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o711)
    for name in GUARDED:
        (directory / name).mkdir(exist_ok=True)
        (directory / name).chmod(0o700)


class DataLock:
    """Held by the server for as long as it lives; the kernel lets go of it at any death."""

    def __init__(self, directory: Path) -> None:
        """Take the lock. Raises DataInUse, naming the process that holds it."""
        path = directory / "server.lock"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._descriptor, 20).decode().strip() or "unknown"
            os.close(self._descriptor)
            raise DataInUse(
                f"a Halage server (process {holder}) already uses {directory}: stop it first, "
                "or give this one a directory of its own with --data"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another server have the directory."""
        os.close(self._descriptor)
