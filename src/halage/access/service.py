"""Access: the one door to people, credentials, sessions and members. The rules are in `rules`."""

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from halage.access import attempts, credential_rules, credentials, membership, people, sessions
from halage.access.errors import BadCredential, Forbidden
from halage.access.model import (
    SYSTEM,
    FirstStart,
    Principal,
    Role,
    Session,
    SessionLimits,
    Token,
    TokenKind,
    User,
)
from halage.access.passwords import Passwords
from halage.access.secrets import SecretBox
from halage.base.clock import Clock
from halage.base.database import Database, StorageFull, Transaction
from halage.base.files import write_atomically

log = structlog.get_logger()

FIRST_USER = "admin"


class Access:
    """People and what they prove themselves with. `actor` is the name of who asks, for the journal.

    It does not check who may ask: the doors do, with `rules.check`, before they call.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        key_file: Path,
        *,
        session_limits: SessionLimits = SessionLimits(),  # noqa: B008  a frozen value
        passwords: Passwords | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._limits = session_limits
        self._passwords = passwords or Passwords()
        self.secrets = SecretBox(key_file)
        """Seals the secret variables of sites."""

    async def first_start(self, admin_token_file: Path | None = None) -> FirstStart | None:
        """What the installer needs to come in, on a database without users; None on any other.

        Makes the key of the secrets, the administrator `admin`, an API token without expiry (also
        written to `admin_token_file`, 0600, before the commit: a crash between the two leaves a
        file that the next first start writes again) and a one-time login link.
        """
        result = await self._database.run(self._first_start, admin_token_file)
        if result is not None:
            log.info("first start", action="access:FirstStart", subject=f"user/{FIRST_USER}")
        return result

    def _first_start(self, tx: Transaction, admin_token_file: Path | None) -> FirstStart | None:
        if people.has_users(tx):
            return None
        self.secrets.make_key()
        actor = SYSTEM.name
        people.add_user(tx, FIRST_USER, None, True, actor)
        _, token = credentials.add_token(tx, FIRST_USER, "first start", "api", None, actor)
        if admin_token_file is not None:
            write_atomically(admin_token_file, f"{token}\n", mode=0o600)
        return FirstStart(token, sessions.add_login_link(tx, FIRST_USER, actor))

    async def create_user(
        self, name: str, *, password: str | None = None, is_admin: bool = False, actor: str
    ) -> User:
        """A new person; without a password they come in by a login link.

        Raises Unusable for the name or the password, UserConflict.
        """
        credential_rules.check_user_name(name)
        hashed = None if password is None else await self._hash(password, name)
        return await self._database.run(people.add_user, name, hashed, is_admin, actor)

    async def list_users(self) -> list[User]:
        """Everyone, by name; those who have ended too."""
        return await self._database.run(people.get_users)

    async def show_user(self, name: str) -> User:
        """One person who may sign in. Raises NoSuchUser."""
        return await self._database.run(people.get_user, name)

    async def end_user(self, name: str, *, actor: str) -> None:
        """Let a person in no more: tokens, sessions, links and roles end. Raises NoSuchUser, UserConflict."""
        await self._database.run(people.end_user, name, actor)

    async def set_password(
        self, user: str, password: str, actor: str, *, keep_session: str | None = None
    ) -> None:
        """Give a person another password; their sessions end but `keep_session` (its secret).

        Raises Unusable, NoSuchUser.
        """
        hashed = await self._hash(password, user)
        await self._database.run(people.put_password, user, hashed, actor, keep_session)

    async def create_token(
        self,
        user: str,
        name: str,
        *,
        expires_at: float | None = None,
        kind: TokenKind = "api",
        actor: str,
    ) -> tuple[Token, str]:
        """A new API token or git credential and its secret. Raises Unusable, NoSuchUser."""
        return await self._database.run(credentials.add_token, user, name, kind, expires_at, actor)

    async def list_tokens(self, user: str) -> list[Token]:
        """A person's tokens and git credentials, newest first; ended ones too. Raises NoSuchUser."""
        return await self._database.run(credentials.get_tokens, user)

    async def revoke_token(self, token_id: str, principal: Principal) -> Token:
        """The token, which opens nothing more: one's own, or as administrator anyone's.

        Revoking it again changes nothing. Raises NoSuchToken.
        """
        return await self._database.run(credentials.end_token, token_id, principal)

    async def authenticate_token(self, plain: str) -> Principal:
        """The owner of an API token. Raises BadCredential, which says when it expired or was revoked."""
        return await self._recognize(credentials.principal_of_token, plain)

    async def authenticate_git(self, user: str, secret: str) -> Principal:
        """The owner of a git credential or API token, shown as HTTP basic authentication.

        A hash and one select: git asks several times for each fetch or push. Raises BadCredential.
        """
        return await self._recognize(credentials.principal_of_git_credential, user, secret)

    async def authenticate_password(self, user: str, password: str, client_address: str) -> Principal:
        """The person with that name and password.

        Raises BadCredential, the same for a wrong name and a wrong password and after the same
        time, and TooManyAttempts (`retry_after_s`).
        """
        started = self._clock.monotonic()
        kept = await self._database.run(attempts.begin_attempt, user, client_address)
        is_right = await self._passwords.verify(kept, password)
        better = None
        if is_right and kept is not None and self._passwords.is_outdated(kept):
            better = await self._passwords.hash(password)
        checked = kept if is_right else None
        principal = await self._database.run(attempts.end_attempt, user, client_address, checked, better)
        log.info(
            "password checked",
            action="access:SignIn",
            subject=f"user/{principal.name if principal else 'unknown'}",
            is_right=principal is not None,
            duration_s=round(self._clock.monotonic() - started, 4),
        )
        if principal is None:
            raise BadCredential("The user name or the password is wrong")
        return principal

    async def create_login_link(self, user: str, actor: str) -> str:
        """The secret of a link that signs that user in once, within 24 hours. Raises NoSuchUser."""
        return await self._database.run(sessions.add_login_link, user, actor)

    async def redeem_login_link(self, secret: str) -> tuple[Session, str]:
        """A session for the link's user, and the session's secret. Raises BadCredential."""
        return await self._database.run(sessions.use_login_link, secret, self._limits)

    async def open_session(self, principal: Principal) -> tuple[Session, str]:
        """A session for someone who has just proved who they are, and its secret. Raises NoSuchUser."""
        return await self._database.run(sessions.add_session, principal.name, self._limits, principal.via)

    async def authenticate_session(self, secret: str) -> tuple[Principal, str]:
        """The person of a session and its CSRF token; the session goes on. Raises BadCredential."""
        principal = await self._recognize(sessions.principal_of_session, secret, self._limits)
        return principal, credential_rules.csrf_token(secret)

    async def _recognize(self, find: Callable[..., Principal], *proof: Any) -> Principal:
        """Who proves themselves so. That cannot be noted while the disk is full, and they may look all the
        same: what is wrong can then be seen."""
        try:
            return await self._database.run(find, *proof)
        except StorageFull:
            return await self._database.run(find, *proof, is_noted=False)

    async def close_session(self, secret: str) -> None:
        """Sign out; nothing happens when the session had ended."""
        await self._database.run(sessions.end_session, secret)

    def check_csrf(self, session_secret: str, token: str | None) -> None:
        """Return when the token belongs to the session of that secret; raise Forbidden."""
        wanted = credential_rules.csrf_token(session_secret)
        if not hmac.compare_digest(wanted.encode(), (token or "").encode("utf-8", "surrogatepass")):
            raise Forbidden("The request came without the token of your session: reload the page, try again")

    async def set_member(self, project: str, user: str, role: Role | None, actor: str) -> None:
        """Give a person a role in a project, or (None) take it away. Raises NoSuchUser."""
        await self._database.run(membership.put_member, project, user, role, actor)

    async def members(self, project: str) -> dict[str, Role]:
        """Role by user name, in the order of names."""
        return await self._database.run(membership.get_members, project)

    async def forget_project(self, project: str) -> None:
        """Drop every role in a project that is deleted."""
        await self._database.run(membership.drop_members, project)

    async def _hash(self, password: str, user: str) -> str:
        credential_rules.check_password(password, user)
        return await self._passwords.hash(password)
