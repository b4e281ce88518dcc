"""By which key a StatsD line is known to be an environment's own. docs/decisions/0009 says why."""

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from halage.monitor.intake.model import Place

_BYTES = 32
_KEY_LENGTH = 24


class SiteKeys:
    """A key for each environment, made from one secret: nothing to store, the same after a restart."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def load(cls, path: Path) -> "SiteKeys":
        """With the secret in this file, which is made when it is not there. Raises OSError."""
        try:
            secret = path.read_bytes()
        except FileNotFoundError:
            secret = secrets.token_bytes(_BYTES)
            _write(path, secret)
        if len(secret) != _BYTES:
            raise OSError(f"{path} holds no secret of {_BYTES} bytes; delete it to have it made anew")
        return cls(secret)

    def key_of(self, place: Place) -> str:
        """The environment's key: 25 lower-case letters and digits, the first one a letter."""
        digest = hmac.digest(self._secret, "\n".join(place).encode(), hashlib.sha256)
        return "k" + base64.b32encode(digest).decode().lower()[:_KEY_LENGTH]


def _write(path: Path, secret: bytes) -> None:
    """Whole or not at all, and for the owner alone."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
