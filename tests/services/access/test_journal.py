"""What people, roles and tokens leave in the journal: before, after, and no secret."""

import json
from dataclasses import asdict
from typing import Any

from halage.access.model import Role
from halage.access.service import Access
from halage.base.database import Database
from halage.base.journal import Entry
from halage.base.journal_search import find_entries

PASSWORD = "a boat and two locks"


async def _changes(database: Database, action: str) -> list[tuple[Any, Any]]:
    entries: list[Entry] = [each for each in await find_entries(database) if each.action == action]
    return [(entry.before, entry.after) for entry in entries]


async def test_every_change_of_a_person_says_what_was_before_and_after(
    access: Access, database: Database
) -> None:
    await access.first_start()
    await access.create_user("ada", actor="admin")
    await access.create_user("bob", password=PASSWORD, is_admin=True, actor="admin")
    await access.set_password("ada", PASSWORD, "ada")
    await access.set_password("ada", f"{PASSWORD}!", "ada")
    for role in (Role.VIEWER, Role.VIEWER, Role.ADMIN, None):
        await access.set_member("shop", "ada", role, "admin")
    await access.set_member("shop", "bob", Role.DEVELOPER, "admin")
    await access.end_user("bob", actor="admin")
    made = await _changes(database, "access:CreateUser")
    assert made[1:] == [
        (None, {"is_admin": False, "has_password": False}),
        (None, {"is_admin": True, "has_password": True}),
    ]
    assert await _changes(database, "access:SetPassword") == [
        ({"has_password": False}, {"has_password": True}),
        ({"has_password": True}, {"has_password": True}),
    ]
    assert await _changes(database, "project:SetMember") == [
        (None, {"role": "viewer"}),
        ({"role": "viewer"}, {"role": "admin"}),
        ({"role": "admin"}, None),
        (None, {"role": "developer"}),
    ]
    ended = ({"is_admin": True, "roles": {"shop": "developer"}}, None)
    assert await _changes(database, "access:EndUser") == [ended]


async def test_tokens_are_told_without_their_secrets(access: Access, database: Database) -> None:
    first = await access.first_start()
    assert first is not None
    token, secret = await access.create_token("admin", "ci", actor="admin")
    principal = await access.authenticate_token(secret)
    assert principal.token_name == "ci"
    await access.revoke_token(token.id, principal)
    assert (await _changes(database, "access:CreateToken"))[-1] == (None, {"is_revoked": False})
    assert await _changes(database, "access:RevokeToken") == [({"is_revoked": False}, {"is_revoked": True})]
    written = json.dumps([asdict(entry) for entry in await find_entries(database)])
    for hidden in (secret, first.admin_token, first.login_link_secret):
        assert hidden not in written
