"""Password hashing with argon2id, off the event loop."""

import asyncio
import base64
import secrets
import unicodedata

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

_AT_ONCE = 2
"""Hashes computed at the same time: each takes 32 MiB and a core for some 60 ms."""


class Passwords:
    """Hashes and compares passwords, each in a thread, two at a time at the most."""

    def __init__(self, *, time_cost: int = 3, memory_kib: int = 32 * 1024) -> None:
        """Take the cost of a hash; the default is above OWASP's least (2 rounds of 19 MiB)."""
        self._hasher = PasswordHasher(
            time_cost=time_cost, memory_cost=memory_kib, parallelism=1, type=Type.ID, encoding="utf-8"
        )
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._nobody = _hash_of_nobody(time_cost, memory_kib)

    async def hash(self, password: str) -> str:
        """The hash to keep: argon2id's own text form, with its salt and cost."""
        async with self._gate:
            return await asyncio.to_thread(self._hasher.hash, _prepare(password))

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether this is the password; with nothing kept the answer is no, after the same time."""
        async with self._gate:
            is_right = await asyncio.to_thread(self._verify, kept or self._nobody, _prepare(password))
        return is_right and kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether the hash was made with another cost than today's."""
        return self._hasher.check_needs_rehash(kept)

    def _verify(self, kept: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False


def _prepare(password: str) -> bytes:
    # The same key strokes give other code points on other systems; NFKC makes them one (NIST 800-63B).
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _hash_of_nobody(time_cost: int, memory_kib: int) -> str:
    """A well-formed hash of no password, at today's cost."""
    salt, result = (_unpadded(secrets.token_bytes(size)) for size in (16, 32))
    return f"$argon2id$v=19$m={memory_kib},t={time_cost},p=1${salt}${result}"


def _unpadded(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
