"""API tokens and git credentials."""

from typing import Any

import pytest
from sqlalchemy import event

from halage.access.errors import BadCredential, NoSuchToken, NoSuchUser, Unusable
from halage.access.model import Principal, Role
from halage.access.rules import is_allowed
from halage.access.service import Access
from halage.base.database import Database
from tests.clock import ManualClock
from tests.services.access.conftest import Told

ADMIN = Principal("admin", True, {}, "session")
EVE = Principal("eve", False, {}, "session")


async def test_a_token_opens_what_its_owner_may(access: Access, ada: Principal, told: Told) -> None:
    await access.set_member("shop", "ada", Role.DEVELOPER, "admin")
    token, secret = await access.create_token("ada", "laptop", actor="ada")
    assert secret.startswith("halage_")
    entry = await told.last()
    assert (entry.action, entry.subject) == ("access:CreateToken", f"token/{token.id}")
    principal = await access.authenticate_token(secret)
    assert principal == Principal("ada", False, {"shop": Role.DEVELOPER}, "token", token.id, "laptop")


@pytest.mark.parametrize("secret", ["", "halage_", "halage_x", "é", "\ud800", "x" * 100_000, "' OR 1=1 --"])
async def test_what_is_no_token_opens_nothing(access: Access, ada: Principal, secret: str) -> None:
    await access.create_token("ada", "laptop", actor="ada")
    with pytest.raises(BadCredential):
        await access.authenticate_token(secret)
    with pytest.raises(BadCredential):
        await access.authenticate_git("ada", secret)


async def test_a_token_ends_at_its_moment_and_says_so(
    access: Access, ada: Principal, clock: ManualClock
) -> None:
    _, secret = await access.create_token("ada", "ci", expires_at=clock.now() + 100, actor="ada")
    await clock.advance(99)
    await access.authenticate_token(secret)
    await clock.advance(1)
    with pytest.raises(BadCredential, match="expired"):
        await access.authenticate_token(secret)


async def test_a_token_cannot_be_made_expired_or_for_nobody(
    access: Access, ada: Principal, clock: ManualClock
) -> None:
    with pytest.raises(Unusable):
        await access.create_token("ada", "ci", expires_at=clock.now(), actor="ada")
    with pytest.raises(NoSuchUser):
        await access.create_token("nobody", "ci", actor="ada")
    assert await access.list_tokens("ada") == []
    with pytest.raises(NoSuchUser):
        await access.list_tokens("nobody")


async def test_a_revoked_token_opens_nothing_and_says_so(access: Access, ada: Principal, told: Told) -> None:
    token, secret = await access.create_token("ada", "laptop", actor="ada")
    revoked = await access.revoke_token(token.id, ada)
    assert revoked.revoked_at is not None
    with pytest.raises(BadCredential, match="revoked"):
        await access.authenticate_token(secret)
    count = len(await told.all())
    assert await access.revoke_token(token.id, ada) == revoked
    assert len(await told.all()) == count


async def test_nobody_revokes_or_sees_the_token_of_another_but_an_administrator(
    access: Access, ada: Principal
) -> None:
    token, secret = await access.create_token("ada", "laptop", actor="ada")
    messages = []
    for token_id in (token.id, "token-0000000000"):
        with pytest.raises(NoSuchToken) as caught:
            await access.revoke_token(token_id, EVE)
        messages.append(caught.value.message.replace(token_id, "ID"))
    assert messages[0] == messages[1]
    await access.authenticate_token(secret)
    await access.revoke_token(token.id, ADMIN)
    with pytest.raises(BadCredential):
        await access.authenticate_token(secret)


async def test_a_git_credential_opens_git_alone(access: Access, ada: Principal) -> None:
    await access.set_member("shop", "ada", Role.ADMIN, "admin")
    token, secret = await access.create_token("ada", "git", kind="git", actor="ada")
    principal = await access.authenticate_git("ada", secret)
    assert (principal.via, principal.token_id) == ("git", token.id)
    assert is_allowed(principal, "source:Push", "project/shop")
    assert not is_allowed(principal, "project:Delete", "project/shop")
    with pytest.raises(BadCredential):
        await access.authenticate_token(secret)


async def test_git_takes_an_api_token_as_the_password(access: Access, ada: Principal) -> None:
    _, secret = await access.create_token("ada", "laptop", actor="ada")
    assert (await access.authenticate_git("ada", secret)).via == "token"


async def test_git_takes_no_account_password(access: Access, ada: Principal) -> None:
    with pytest.raises(BadCredential):
        await access.authenticate_git("ada", "correct horse")


@pytest.mark.parametrize("kind", ["git", "api"])
async def test_a_git_credential_is_good_for_its_owners_name_only(
    access: Access, ada: Principal, kind: Any
) -> None:
    await access.create_user("eve", actor="admin")
    _, secret = await access.create_token("ada", "git", kind=kind, actor="ada")
    for name in ("eve", "", "Ada", "ada "):
        with pytest.raises(BadCredential):
            await access.authenticate_git(name, secret)


async def test_tokens_are_listed_newest_first_without_their_secrets(
    access: Access, ada: Principal, clock: ManualClock
) -> None:
    _, old = await access.create_token("ada", "old", actor="ada")
    await clock.advance(1)
    _, new = await access.create_token("ada", "new", kind="git", actor="ada")
    listed = await access.list_tokens("ada")
    assert [(token.name, token.kind) for token in listed] == [("new", "git"), ("old", "api")]
    assert old not in repr(listed)
    assert new not in repr(listed)


async def test_a_git_operation_costs_one_select_and_a_write_a_minute(
    access: Access, ada: Principal, database: Database, clock: ManualClock
) -> None:
    for number in range(20):
        await access.set_member(f"site-{number}", "ada", Role.DEVELOPER, "admin")
    _, secret = await access.create_token("ada", "git", kind="git", actor="ada")
    statements: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            statements.append(statement.split()[0])

    first = clock.now()
    for _ in range(10):
        await access.authenticate_git("ada", secret)
    assert statements == ["SELECT", "UPDATE", *["SELECT"] * 9]
    statements.clear()
    await clock.advance(59)
    await access.authenticate_git("ada", secret)
    await clock.advance(1)
    principal = await access.authenticate_git("ada", secret)
    assert statements == ["SELECT", "SELECT", "UPDATE"]
    assert len(principal.roles) == 20
    assert (await access.list_tokens("ada"))[0].last_used_at == first + 60
