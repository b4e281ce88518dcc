"""What a name, a password, a token, a session or a further attempt must be like. Pure."""

import base64
import hashlib
import hmac
import ipaddress
import math
import re
from dataclasses import dataclass

from halage.access.errors import Unusable
from halage.access.model import SessionLimits

_USER_NAME = re.compile(r"[a-z][a-z0-9._-]{0,62}")
_RESERVED_NAMES = frozenset({"halage", "unknown"})
_PASSWORD_LENGTH = range(8, 1025)
_TOKEN_NAME_LENGTH = range(1, 101)

FREE_BY_USER = 5
"""Failed attempts for one user name before each further one has to wait."""
FREE_BY_ADDRESS = 20
"""The same for one address. Higher: an office shares one, and someone there always mistypes."""
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 900.0
FORGET_AFTER_S = 3600.0
"""Failures are forgotten when none was added for this long."""

TOUCH_EVERY_S = 60.0
"""`last used` of a token or session is written at most this often: reading must stay cheap."""

LOGIN_LINK_LIFETIME_S = 86400.0


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed attempts of one user name or from one address."""

    count: int
    last_at: float


def is_user_name(name: str) -> bool:
    """Whether a person can have this name."""
    return _USER_NAME.fullmatch(name) is not None and name not in _RESERVED_NAMES


def check_user_name(name: str) -> None:
    """Return when a person can have this name; raise Unusable."""
    if name in _RESERVED_NAMES:
        raise Unusable(f"The user name {name} is kept for Halage itself: choose another one")
    if not is_user_name(name):
        raise Unusable(
            f"{name!r} is no user name: it is 1 to 63 lower-case letters, digits, '.', '_' or '-', "
            "and starts with a letter"
        )


def check_password(password: str, user: str) -> None:
    """Return when this can be the password of that user; raise Unusable, which does not repeat it."""
    if len(password) not in _PASSWORD_LENGTH:
        shortest, longest = _PASSWORD_LENGTH[0], _PASSWORD_LENGTH[-1]
        raise Unusable(f"A password has {shortest} to {longest} characters; this one has {len(password)}")
    if password.casefold() == user.casefold():
        raise Unusable("The password is the same as the user name: choose another one")


def check_new_token(name: str, expires_at: float | None, now: float) -> None:
    """Return when a token can have this name and expiry; raise Unusable."""
    if len(name) not in _TOKEN_NAME_LENGTH or not name.isprintable() or not name.strip():
        raise Unusable(f"A token needs a name of 1 to {_TOKEN_NAME_LENGTH[-1]} printable characters")
    if expires_at is not None and not (math.isfinite(expires_at) and expires_at > now):
        raise Unusable("The token would have expired already: choose a date in the future, or none")


def digest(secret: str) -> str:
    """SHA-256 of a secret, in hex: what the database holds instead of it.

    A plain hash is enough because our secrets are 256 random bits: there is nothing to guess, so
    a slow hash, made for passwords that people choose, would only slow every call.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def csrf_token(session_secret: str) -> str:
    """The CSRF token of a session: HMAC-SHA-256 of its secret, so it needs no column of its own.

    Who reads it from a page cannot find the session's secret from it.
    """
    key = session_secret.encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hmac.digest(key, b"halage csrf", "sha256")).decode().rstrip("=")


def wait_s(failures: Failures | None, free: int, now: float) -> float:
    """Seconds from now until the next attempt is taken; 0 when it may come at once.

    The first wait is 5 s, each further failure doubles it, up to 15 minutes. A clock that was set
    back makes nobody wait longer than that.
    """
    if is_forgotten(failures, now) or failures is None or failures.count < free:
        return 0.0
    doublings = min(failures.count - free, 30)
    wait = min(FIRST_WAIT_S * 2.0**doublings, LONGEST_WAIT_S)
    return min(max(failures.last_at + wait - now, 0.0), wait)


def one_more(failures: Failures | None, now: float) -> Failures:
    """The failures after one more at that moment."""
    if failures is None or is_forgotten(failures, now):
        return Failures(1, now)
    return Failures(failures.count + 1, now)


def is_forgotten(failures: Failures | None, now: float) -> bool:
    """Whether these failures are so old that they count no more."""
    return failures is None or now - failures.last_at > FORGET_AFTER_S


def attempt_key_of_user(name: str) -> str:
    """The key that a user name's failures are counted by: hashed, as people type passwords there."""
    return f"user:{digest(name)}"


def attempt_key_of_address(address: str) -> str:
    """The key that an address' failures are counted by; an IPv6 one counts with its whole /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return f"address:{digest(address)}"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return f"address:{parsed.ipv4_mapped}"
        return f"address:{ipaddress.ip_network((parsed, 64), strict=False)}"
    return f"address:{parsed}"


def session_ends_at(created_at: float, seen_at: float, limits: SessionLimits) -> float:
    """When a session ends unless another request comes."""
    return min(seen_at + limits.idle_s, created_at + limits.lifetime_s)


def needs_touch(last_at: float | None, now: float) -> bool:
    """Whether `last used` is old enough to be written again."""
    return last_at is None or abs(now - last_at) >= TOUCH_EVERY_S
