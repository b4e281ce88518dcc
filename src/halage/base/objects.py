"""The object store: immutable byte strings named by the SHA-256 of what they hold."""

import contextlib
import hashlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from halage.base.errors import HalageError, NotFound
from halage.base.files import sync_directory


class ObjectMissing(NotFound):
    """The object store does not have this object: its disk was changed by hand, or it was pruned."""


class ObjectDamaged(HalageError):
    """An object does not match its digest: the disk or a person changed it. Deploy another release."""


class ObjectStore(Protocol):
    """Keeps objects. All methods may block on I/O: call them in a thread."""

    def put(self, write: Callable[[BinaryIO], None]) -> tuple[str, int]:
        """Store what `write` writes to the file it is given; return (digest, size in bytes)."""
        ...

    def open(self, digest: str) -> BinaryIO:
        """The object, verified against its digest. Raises ObjectMissing, ObjectDamaged."""
        ...

    def delete(self, digest: str) -> None:
        """Remove it; idempotent."""
        ...


class LocalObjects:
    """Objects as files below one directory: `sha256/ab/abcdef...`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "sha256"
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, write: Callable[[BinaryIO], None]) -> tuple[str, int]:
        """Store what `write` writes; visible only once it is complete and on the disk."""
        handle, temporary = tempfile.mkstemp(dir=self._directory, prefix=".new-")
        try:
            with os.fdopen(handle, "w+b") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
                size = file.seek(0, io.SEEK_END)
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            path = self._path(digest)
            path.parent.mkdir(exist_ok=True, mode=0o700)
            Path(temporary).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise
        sync_directory(path.parent)
        return digest, size

    def open(self, digest: str) -> BinaryIO:
        """The object, read once to verify it, then rewound."""
        try:
            file = self._path(digest).open("rb")
        except FileNotFoundError as error:
            raise ObjectMissing(f"bundle {digest[:12]} is not in the object store", digest=digest) from error
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            file.close()
            raise ObjectDamaged(
                f"bundle {digest[:12]} does not match its digest; deploy another release", digest=digest
            )
        file.seek(0)
        return file

    def delete(self, digest: str) -> None:
        """Remove it; idempotent."""
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self._directory / digest[:2] / digest
