"""People: made, listed, given a password, ended. Store functions: the transaction comes first."""

from sqlalchemy import delete, func, insert, select, update

from halage.access import credential_rules as rules
from halage.access.errors import NoSuchUser, UserConflict
from halage.access.model import Principal, Role, User
from halage.access.store import login_links, members, sessions, to_user, tokens, users
from halage.base.database import Transaction


def add_user(tx: Transaction, name: str, password_hash: str | None, is_admin: bool, actor: str) -> User:
    """Make a person. Raises Unusable or UserConflict."""
    rules.check_user_name(name)
    if tx.execute(select(users.c.name).where(users.c.name == name)).first() is not None:
        raise UserConflict(f"There is, or was, a user {name}: names are not used twice; choose another one")
    values = {
        "name": name,
        "password_hash": password_hash,
        "is_admin": is_admin,
        "created_at": tx.now,
        "ended_at": None,
    }
    tx.execute(insert(users).values(values))
    after = {"is_admin": is_admin, "has_password": password_hash is not None}
    tx.record("access:CreateUser", actor=actor, subject=f"user/{name}", after=after, is_admin=is_admin)
    return User(name, is_admin, password_hash is not None, tx.now)


def get_user(tx: Transaction, name: str) -> User:
    """The person of that name who may sign in. Raises NoSuchUser."""
    row = tx.execute(select(users).where(users.c.name == name, users.c.ended_at.is_(None))).first()
    if row is None:
        raise NoSuchUser(f"There is no user {name}: `halage user list` shows who there is")
    return to_user(row)


def check_user_exists(tx: Transaction, name: str) -> None:
    """Return when there is, or was, a person of that name; raise NoSuchUser."""
    if tx.execute(select(users.c.name).where(users.c.name == name)).first() is None:
        raise NoSuchUser(f"There is no user {name}: `halage user list` shows who there is")


def get_users(tx: Transaction) -> list[User]:
    """Everyone, by name; those who have ended too."""
    return [to_user(row) for row in tx.execute(select(users).order_by(users.c.name))]


def has_users(tx: Transaction) -> bool:
    """Whether anyone was ever made: false before the first start only."""
    return tx.execute(select(users.c.name).limit(1)).first() is not None


def get_principal(tx: Transaction, name: str) -> Principal:
    """The person as a principal, for what Halage does on their behalf. Raises NoSuchUser."""
    user = get_user(tx, name)
    rows = tx.execute(select(members.c.project, members.c.role).where(members.c.user == name))
    return Principal(user.name, user.is_admin, {row.project: Role(row.role) for row in rows}, "system")


def put_password(
    tx: Transaction, name: str, password_hash: str, actor: str, keep_session: str | None
) -> None:
    """Give a person another password, and end what the old one opened: sessions and login links.

    `keep_session` is the secret of the session that asks, which goes on. Raises NoSuchUser.
    """
    user = get_user(tx, name)
    tx.change(update(users).where(users.c.name == name).values(password_hash=password_hash))
    others = delete(sessions).where(sessions.c.user == name)
    if keep_session is not None:
        others = others.where(sessions.c.digest != rules.digest(keep_session))
    tx.change(others)
    tx.change(delete(login_links).where(login_links.c.user == name))
    before, after = {"has_password": user.has_password}, {"has_password": True}
    tx.record("access:SetPassword", actor=actor, subject=f"user/{name}", before=before, after=after)


def end_user(tx: Transaction, name: str, actor: str) -> None:
    """Let a person in no more, by any way. Raises NoSuchUser, or UserConflict for the last administrator."""
    user = get_user(tx, name)
    if user.is_admin and _count_admins(tx) == 1:
        raise UserConflict(f"{name} is the only administrator: make another one first")
    tx.change(update(users).where(users.c.name == name).values(ended_at=tx.now, password_hash=None))
    tx.change(
        update(tokens).where(tokens.c.user == name, tokens.c.revoked_at.is_(None)).values(revoked_at=tx.now)
    )
    held = tx.execute(select(members.c.project, members.c.role).where(members.c.user == name))
    before = {"is_admin": user.is_admin, "roles": {row.project: row.role for row in held}}
    for table in (sessions, login_links, members):
        tx.change(delete(table).where(table.c.user == name))
    tx.record("access:EndUser", actor=actor, subject=f"user/{name}", before=before)


def _count_admins(tx: Transaction) -> int:
    query = select(func.count()).select_from(users).where(users.c.is_admin, users.c.ended_at.is_(None))
    return int(tx.execute(query).scalar_one())
