"""Which git processes of pushes still live, also those that a killed server left behind.

Every process of a push inherits a descriptor that holds a shared lock on a file of its server's.
The lock goes with the last of them, however it ends: no process ids, nothing to clean up.
"""

import fcntl
import os
from pathlib import Path

from halage.base.ids import new_id


class PushLocks:
    """The lock file of this server, among those of servers before it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._own = directory / f"{new_id('server')}.lock"

    def prepare(self) -> None:
        """Make the directory; idempotent."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def hold(self) -> int:
        """A descriptor to be inherited by the processes of one push; close it when they are started."""
        descriptor = os.open(self._own, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return descriptor

    def has_orphans(self) -> bool:
        """Whether a process of an earlier server's push is still at work."""
        held = [path for path in self._directory.glob("*.lock") if path != self._own and not _drop(path)]
        return bool(held)

    def close(self) -> None:
        """Remove this server's file, when no process needs it any more."""
        _drop(self._own)


def _drop(lock: Path) -> bool:
    """Remove a file that nobody holds; tell whether it is gone."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
