"""Attempts to sign in with a password, counted in the database. Store functions.

An attempt is counted as failed before its password is looked at and taken back when it was right:
a hundred guesses sent at once then count as a hundred, and a restart forgets none of them.
"""

import math

from sqlalchemy import delete, insert, select, update

from halage.access import credential_rules as rules
from halage.access.errors import TooManyAttempts
from halage.access.model import Principal, Role
from halage.access.store import attempts, members, users
from halage.base.database import Transaction


def begin_attempt(tx: Transaction, name: str, address: str) -> str | None:
    """Count an attempt and return the password hash to compare with, None when there is none.

    Raises TooManyAttempts, which is itself not counted: who waits gets in.
    """
    tx.change(delete(attempts).where(attempts.c.last_at < tx.now - rules.FORGET_AFTER_S))
    counted = (
        (rules.attempt_key_of_user(name), rules.FREE_BY_USER),
        (rules.attempt_key_of_address(address), rules.FREE_BY_ADDRESS),
    )
    before = {key: _failures(tx, key) for key, _ in counted}
    wait_s = max(rules.wait_s(before[key], free, tx.now) for key, free in counted)
    if wait_s > 0:
        retry_after_s = math.ceil(wait_s)
        raise TooManyAttempts(
            f"Too many failed attempts to sign in: try again in {retry_after_s} s",
            retry_after_s=retry_after_s,
        )
    for key, failures in before.items():
        _put(tx, key, rules.one_more(failures, tx.now), is_new=failures is None)
    if not rules.is_user_name(name):
        return None
    query = select(users.c.password_hash).where(users.c.name == name, users.c.ended_at.is_(None))
    return tx.execute(query).scalar_one_or_none()


def end_attempt(
    tx: Transaction, name: str, address: str, checked: str | None, better_hash: str | None
) -> Principal | None:
    """Record how an attempt ended: the person when the hash that was `checked` still stands.

    `checked` None: the password was wrong. `better_hash` replaces it, made with today's cost.
    A failure for a name that nobody has writes as much as one for a name that somebody has.
    """
    known = rules.is_user_name(name)
    query = select(users).where(users.c.name == name, users.c.ended_at.is_(None))
    row = tx.execute(query).first() if known else None
    if row is None or checked is None or row.password_hash != checked:
        # What was typed as a name may be a password: only a name that exists is written down.
        who = "unknown" if row is None else name
        tx.record("access:SignInFailed", actor=who, subject=f"user/{who}", address=address[:64])
        return None
    if better_hash is not None:
        tx.change(update(users).where(users.c.name == name).values(password_hash=better_hash))
    tx.change(delete(attempts).where(attempts.c.key == rules.attempt_key_of_user(name)))
    # The address only gets this attempt back: a guesser's own account must not wipe its slate.
    of_address = attempts.c.key == rules.attempt_key_of_address(address)
    tx.change(
        update(attempts).where(of_address, attempts.c.failures > 0).values(failures=attempts.c.failures - 1)
    )
    held = tx.execute(select(members.c.project, members.c.role).where(members.c.user == name))
    return Principal(name, row.is_admin, {one.project: Role(one.role) for one in held}, "password")


def _failures(tx: Transaction, key: str) -> rules.Failures | None:
    row = tx.execute(select(attempts).where(attempts.c.key == key)).first()
    return None if row is None else rules.Failures(row.failures, row.last_at)


def _put(tx: Transaction, key: str, failures: rules.Failures, *, is_new: bool) -> None:
    values = {"failures": failures.count, "last_at": failures.last_at}
    if is_new:
        tx.execute(insert(attempts).values(key=key, **values))
    else:
        tx.change(update(attempts).where(attempts.c.key == key).values(values))
