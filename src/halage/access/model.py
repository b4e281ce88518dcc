"""People, their credentials, and who a call acts for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Via = Literal["session", "token", "git", "password", "system"]
"""How a caller proved who they are."""

TokenKind = Literal["api", "git"]
"""`api` opens the API and git; `git` opens git alone, so a helper that stores it gives away less."""


class Role(StrEnum):
    """What a member may do in one project. Each role may do all that the next one may."""

    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do all that the other may."""
        order = tuple(Role)
        return order.index(self) <= order.index(other)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a call acts for, what they may do, and how they proved who they are."""

    name: str
    is_admin: bool
    """Administrator of the whole server, which includes every project."""
    roles: Mapping[str, Role]
    """Role by project."""
    via: Via
    token_id: str | None = None
    token_name: str | None = None
    """What its owner calls the token, for the journal."""


SYSTEM = Principal("halage", True, {}, "system")
"""Halage itself, for what no person asked for."""


@dataclass(frozen=True, slots=True)
class User:
    """A person. One who has left keeps the name, so that the journal stays true."""

    name: str
    is_admin: bool
    has_password: bool
    created_at: float
    ended_at: float | None = None

    @property
    def is_active(self) -> bool:
        """Whether this person may still sign in."""
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class Token:
    """An API token or a git credential; its secret is shown once, when it is made."""

    id: str
    name: str
    kind: TokenKind
    user: str
    created_at: float
    expires_at: float | None
    last_used_at: float | None
    """Right to a minute: it is not written at every use."""
    revoked_at: float | None

    def is_active(self, now: float) -> bool:
        """Whether it opens anything at that moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a session lasts: without a request, and in all."""

    idle_s: float = 12 * 3600.0
    lifetime_s: float = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in. `ends_at` moves on with each request, up to the lifetime."""

    id: str
    user: str
    created_at: float
    ends_at: float
    csrf_token: str = field(repr=False)
    """Goes with each unsafe request in X-CSRF-Token."""


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What a new server hands to the person who installs it; both are shown once."""

    admin_token: str = field(repr=False)
    login_link_secret: str = field(repr=False)
