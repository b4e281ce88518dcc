"""Secrets in lines: replaced before anything is kept."""

from collections.abc import Iterable

MASK = b"[secret]"
SHORTEST_SECRET = 4
"""A secret shorter than that is not masked: it would make every line unreadable."""


class Mask:
    """Replaces secret values in lines. A value of several lines is masked line by line."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {part.encode() for secret in secrets for part in (secret, *secret.splitlines())}
        self.words = tuple(sorted((p for p in parts if len(p) >= SHORTEST_SECRET), key=len, reverse=True))

    @property
    def longest(self) -> int:
        """Bytes of the longest value."""
        return len(self.words[0]) if self.words else 0

    def apply(self, text: bytes) -> bytes:
        """The text without secrets."""
        for word in self.words:
            if word in text:
                text = text.replace(word, MASK)
        return text
