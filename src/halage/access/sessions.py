"""Sessions of browsers and one-time login links. Store functions: the transaction comes first."""

import hmac

from sqlalchemy import delete, insert, or_, select, update

from halage.access import credential_rules as rules
from halage.access.errors import BadCredential
from halage.access.model import Principal, Session, SessionLimits
from halage.access.people import get_user
from halage.access.store import login_links, session_with_owner, sessions, to_principal
from halage.base.database import Transaction
from halage.base.ids import new_id, new_secret


def add_session(tx: Transaction, user: str, limits: SessionLimits, how: str) -> tuple[Session, str]:
    """Open a session; the second value is its secret, for the cookie. Raises NoSuchUser.

    Sessions that have ended are forgotten by the way, so that the table stays small.
    """
    get_user(tx, user)
    ended = or_(
        sessions.c.seen_at <= tx.now - limits.idle_s, sessions.c.created_at <= tx.now - limits.lifetime_s
    )
    tx.change(delete(sessions).where(ended))
    secret, session_id = new_secret("session"), new_id("session")
    values = {
        "id": session_id,
        "user": user,
        "digest": rules.digest(secret),
        "created_at": tx.now,
        "seen_at": tx.now,
    }
    tx.execute(insert(sessions).values(values))
    tx.record("access:SignIn", actor=user, subject=f"user/{user}", how=how)
    ends_at = rules.session_ends_at(tx.now, tx.now, limits)
    return Session(session_id, user, tx.now, ends_at, rules.csrf_token(secret)), secret


def principal_of_session(
    tx: Transaction, secret: str, limits: SessionLimits, *, is_noted: bool = True
) -> Principal:
    """The person of a session that has not ended; the session then goes on. Raises BadCredential."""
    wanted = rules.digest(secret)
    rows = list(tx.execute(session_with_owner, {"digest": wanted}))
    if not rows or not hmac.compare_digest(rows[0].digest, wanted) or rows[0].ended_at is not None:
        raise BadCredential("You are not signed in: sign in first")
    session = rows[0]
    if tx.now >= rules.session_ends_at(session.created_at, session.seen_at, limits):
        raise BadCredential("Your session has ended: sign in again")
    if is_noted and rules.needs_touch(session.seen_at, tx.now):
        tx.change(update(sessions).where(sessions.c.id == session.id).values(seen_at=tx.now))
    return to_principal(rows, "session")


def end_session(tx: Transaction, secret: str) -> None:
    """Sign out; nothing happens when the session had ended."""
    match = sessions.c.digest == rules.digest(secret)
    row = tx.execute(select(sessions.c.user).where(match)).first()
    if row is None:
        return
    tx.change(delete(sessions).where(match))
    tx.record("access:SignOut", actor=row.user, subject=f"user/{row.user}")


def add_login_link(tx: Transaction, user: str, actor: str) -> str:
    """The secret of a link that signs that user in once, within a day. Raises NoSuchUser."""
    get_user(tx, user)
    tx.change(delete(login_links).where(login_links.c.expires_at <= tx.now))
    secret = new_secret("login")
    values = {
        "digest": rules.digest(secret),
        "user": user,
        "created_at": tx.now,
        "expires_at": tx.now + rules.LOGIN_LINK_LIFETIME_S,
    }
    tx.execute(insert(login_links).values(values))
    tx.record("access:CreateLoginLink", actor=actor, subject=f"user/{user}")
    return secret


def use_login_link(tx: Transaction, secret: str, limits: SessionLimits) -> tuple[Session, str]:
    """Open a session for the link's user; the link opens nothing more. Raises BadCredential."""
    match = login_links.c.digest == rules.digest(secret)
    row = tx.execute(select(login_links).where(match)).first()
    if row is None or row.expires_at <= tx.now:
        raise BadCredential("The login link is not known or older than a day: ask for another one")
    if (
        tx.change(update(login_links).where(match, login_links.c.used_at.is_(None)).values(used_at=tx.now))
        != 1
    ):
        raise BadCredential("The login link was used already: it opens once; ask for another one")
    return add_session(tx, row.user, limits, "login link")
