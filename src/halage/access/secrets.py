"""The secrets of sites, sealed with a key that is kept in a file outside the database."""

import hashlib
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from halage.access.errors import KeyUnusable
from halage.base.files import write_atomically


class SecretBox:
    """Seals and opens short texts (Fernet: AES-128-CBC with HMAC-SHA-256).

    A sealed value carries the fingerprint of its key, so that a wrong key is told from a damaged
    value. Who has the database alone, or a backup of it, cannot read any.
    """

    def __init__(self, key_file: Path) -> None:
        """Take the path of the key file; it is read at the first use."""
        self._path = key_file
        self._fernet: Fernet | None = None
        self._fingerprint = ""

    def __repr__(self) -> str:
        return f"SecretBox({str(self._path)!r})"

    def make_key(self) -> None:
        """Write a new key (mode 0600) unless there is one; for the first start only.

        Later a missing key is an error: a new one could not open what the old one sealed.
        """
        if not self._path.exists():
            write_atomically(self._path, Fernet.generate_key() + b"\n", mode=0o600)

    def seal(self, text: str) -> str:
        """The text, encrypted: `FINGERPRINT:TOKEN`. Raises KeyUnusable."""
        fernet = self._load()
        return f"{self._fingerprint}:{fernet.encrypt(text.encode()).decode()}"

    def open(self, sealed: str) -> str:
        """The text that was sealed. Raises KeyUnusable, which shows nothing of it."""
        fernet = self._load()
        fingerprint, _, token = sealed.partition(":")
        if fingerprint != self._fingerprint:
            raise KeyUnusable(
                f"This secret was sealed with another key than the one in {self._path}: put back the "
                f"key with the fingerprint {fingerprint[:16]}, or set the secret again"
            )
        try:
            return fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise KeyUnusable("This sealed secret is damaged: set it again") from None

    def _load(self) -> Fernet:
        if self._fernet is None:
            key = self._read()
            try:
                self._fernet = Fernet(key)
            except ValueError:
                # `from None`: the text of the cause could quote the key.
                raise KeyUnusable(f"{self._path} does not hold a key: put back the right file") from None
            self._fingerprint = hashlib.sha256(b"halage key " + key).hexdigest()[:16]
        return self._fernet

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                key = file.read(1024).strip()
        except FileNotFoundError as error:
            raise KeyUnusable(
                f"The key of the sites' secrets is missing: {self._path}. Put it back from a backup; "
                "without it no secret variable can be read"
            ) from error
        except OSError as error:
            raise KeyUnusable(f"The key {self._path} cannot be read: {error.strerror}") from error
        if mode & 0o077:
            raise KeyUnusable(f"Others may read the key {self._path}: run chmod 600 {self._path}")
        return key
