"""API tokens and git credentials. Store functions: the transaction comes first."""

import hmac

from sqlalchemy import insert, select, update

from halage.access import credential_rules as rules
from halage.access.errors import BadCredential, NoSuchToken
from halage.access.model import Principal, Token, TokenKind, Via
from halage.access.people import check_user_exists, get_user
from halage.access.store import to_principal, to_token, token_with_owner, tokens
from halage.base.database import Transaction
from halage.base.ids import new_id, new_secret

_PREFIXES: dict[TokenKind, str] = {"api": "halage", "git": "halage_git"}


def add_token(
    tx: Transaction, user: str, name: str, kind: TokenKind, expires_at: float | None, actor: str
) -> tuple[Token, str]:
    """Make a token; the second value is its secret, which nobody can read again.

    Raises Unusable or NoSuchUser.
    """
    get_user(tx, user)
    rules.check_new_token(name, expires_at, tx.now)
    secret = new_secret(_PREFIXES[kind])
    token = Token(new_id("token"), name, kind, user, tx.now, expires_at, None, None)
    values = {
        "id": token.id,
        "name": name,
        "kind": kind,
        "user": user,
        "digest": rules.digest(secret),
        "created_at": tx.now,
        "expires_at": expires_at,
    }
    tx.execute(insert(tokens).values(values))
    tx.record(
        "access:CreateToken",
        actor=actor,
        subject=f"token/{token.id}",
        after={"is_revoked": False},
        user=user,
        name=name,
        kind=kind,
        expires_at=expires_at,
    )
    return token, secret


def get_tokens(tx: Transaction, user: str) -> list[Token]:
    """A person's tokens and git credentials, newest first; ended ones too. Raises NoSuchUser."""
    check_user_exists(tx, user)
    query = select(tokens).where(tokens.c.user == user).order_by(tokens.c.created_at.desc(), tokens.c.id)
    return [to_token(row) for row in tx.execute(query)]


def end_token(tx: Transaction, token_id: str, principal: Principal) -> Token:
    """Revoke a token of one's own, or as administrator anyone's; once revoked it stays as it is.

    Raises NoSuchToken, also for the token of someone else.
    """
    row = tx.execute(select(tokens).where(tokens.c.id == token_id)).first()
    if row is None or not (principal.is_admin or row.user == principal.name):
        raise NoSuchToken(
            f"There is no token {token_id}, or it is not yours: `halage token list` shows yours"
        )
    if row.revoked_at is None:
        tx.change(update(tokens).where(tokens.c.id == token_id).values(revoked_at=tx.now))
        tx.record(
            "access:RevokeToken",
            actor=principal.name,
            subject=f"token/{token_id}",
            before={"is_revoked": False},
            after={"is_revoked": True},
            user=row.user,
            name=row.name,
            kind=row.kind,
        )
    return to_token(tx.execute(select(tokens).where(tokens.c.id == token_id)).one())


def principal_of_token(tx: Transaction, secret: str, *, is_noted: bool = True) -> Principal:
    """The owner of an API token; that it was used is noted. Raises BadCredential.

    One select on the digest. The index finds it in a time that tells nothing of the secret, as
    who guesses controls no prefix of a SHA-256.
    """
    return _open(tx, secret, "api", "token", is_noted)


def principal_of_git_credential(
    tx: Transaction, user: str, secret: str, *, is_noted: bool = True
) -> Principal:
    """The owner of a git credential or API token, when that is the user who shows it.

    Raises BadCredential.
    """
    kind: TokenKind = "git" if secret.startswith(f"{_PREFIXES['git']}_") else "api"
    principal = _open(tx, secret, kind, "git" if kind == "git" else "token", is_noted)
    if principal.name != user:
        raise BadCredential(
            "The user name or the credential is wrong: `halage git-credential` gives a new one"
        )
    return principal


def _open(tx: Transaction, secret: str, kind: TokenKind, via: Via, is_noted: bool) -> Principal:
    wanted = rules.digest(secret)
    rows = list(tx.execute(token_with_owner, {"digest": wanted}))
    if not rows or not hmac.compare_digest(rows[0].digest, wanted) or rows[0].kind != kind:
        raise BadCredential("The token is not known: `halage token create` makes one")
    token = to_token(rows[0])
    if rows[0].ended_at is not None:
        raise BadCredential(f"The user {token.user} has left: the token {token.id} ended with that")
    if token.revoked_at is not None:
        raise BadCredential(f"The token {token.id} ({token.name}) was revoked: make another one")
    if not token.is_active(tx.now):
        raise BadCredential(f"The token {token.id} ({token.name}) has expired: make another one")
    if is_noted and rules.needs_touch(token.last_used_at, tx.now):
        tx.change(update(tokens).where(tokens.c.id == token.id).values(last_used_at=tx.now))
    return to_principal(rows, via, token)
