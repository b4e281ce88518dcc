"""The tables of access, and rows as values."""

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    bindparam,
    select,
)

from halage.access.model import Principal, Role, Token, User, Via
from halage.base.schema import Instant, metadata

users = Table(
    "access_users",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("password_hash", String(200)),
    Column("is_admin", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("ended_at", Instant),
)

tokens = Table(
    "access_tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("user", String(63), ForeignKey("access_users.name"), nullable=False, index=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("last_used_at", Instant),
    Column("revoked_at", Instant),
)

sessions = Table(
    "access_sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user", String(63), ForeignKey("access_users.name"), nullable=False, index=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

login_links = Table(
    "access_login_links",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("user", String(63), ForeignKey("access_users.name"), nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
)

members = Table(
    "access_members",
    metadata,
    Column("project", String(63), nullable=False),
    Column("user", String(63), ForeignKey("access_users.name"), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    PrimaryKeyConstraint("project", "user"),
)

attempts = Table(
    "access_attempts",
    metadata,
    Column("key", String(100), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Instant, nullable=False, index=True),
)

# Built once: putting a statement together costs more than SQLite takes to run it. A row for each
# project that the owner is a member of, one row with empty project and role when there is none.
_OWNER = (users.c.is_admin, users.c.ended_at, members.c.project, members.c.role)

token_with_owner = (
    select(tokens, *_OWNER)
    .join(users, users.c.name == tokens.c.user)
    .outerjoin(members, members.c.user == tokens.c.user)
    .where(tokens.c.digest == bindparam("digest"))
)

session_with_owner = (
    select(sessions, *_OWNER)
    .join(users, users.c.name == sessions.c.user)
    .outerjoin(members, members.c.user == sessions.c.user)
    .where(sessions.c.digest == bindparam("digest"))
)


def to_user(row: Row[Any]) -> User:
    """A row of `users` as a value, without the hash of the password."""
    return User(row.name, row.is_admin, row.password_hash is not None, row.created_at, row.ended_at)


def to_token(row: Row[Any]) -> Token:
    """A row of `tokens` as a value, without the digest of the secret."""
    return Token(
        id=row.id,
        name=row.name,
        kind=row.kind,
        user=row.user,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def to_principal(rows: list[Row[Any]], via: Via, token: Token | None = None) -> Principal:
    """The owner of a credential from the rows of `token_with_owner` or `session_with_owner`."""
    roles = {row.project: Role(row.role) for row in rows if row.project is not None}
    token_id, token_name = (token.id, token.name) if token is not None else (None, None)
    return Principal(rows[0].user, rows[0].is_admin, roles, via, token_id, token_name)
