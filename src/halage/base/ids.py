"""Identifiers and unguessable secrets."""

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no letter looks like a digit


def new_id(prefix: str, length: int = 10) -> str:
    """`PREFIX-xxxxxxxxxx`, 5 random bits a character: unique without asking anyone."""
    return f"{prefix}-" + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_secret(prefix: str, size_bytes: int = 32) -> str:
    """`PREFIX_...` with that many random bytes, safe in a URL and in a shell word."""
    return f"{prefix}_{secrets.token_urlsafe(size_bytes)}"
