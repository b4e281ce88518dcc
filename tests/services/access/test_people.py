"""People and the first start."""

from pathlib import Path

import pytest

from halage.access.errors import BadCredential, NoSuchUser, Unusable, UserConflict
from halage.access.model import Principal, Role
from halage.access.service import Access
from tests.services.access.conftest import Told


async def test_the_first_start_gives_an_administrator_a_token_and_a_link(
    access: Access, data_directory: Path, key_file: Path
) -> None:
    token_file = data_directory / "admin-token"
    first = await access.first_start(token_file)
    assert first is not None
    assert token_file.read_text() == first.admin_token + "\n"
    assert token_file.stat().st_mode & 0o777 == 0o600
    assert key_file.stat().st_mode & 0o777 == 0o600
    principal = await access.authenticate_token(first.admin_token)
    assert (principal.name, principal.is_admin, principal.via) == ("admin", True, "token")
    session, secret = await access.redeem_login_link(first.login_link_secret)
    assert session.user == "admin"
    assert (await access.authenticate_session(secret))[0].is_admin


async def test_a_second_start_makes_nothing(access: Access, data_directory: Path, key_file: Path) -> None:
    token_file = data_directory / "admin-token"
    await access.first_start(token_file)
    token, key = token_file.read_text(), key_file.read_text()
    assert await access.first_start(token_file) is None
    assert (token_file.read_text(), key_file.read_text()) == (token, key)


async def test_a_first_start_that_cannot_keep_the_token_is_tried_again_at_the_next(
    access: Access, data_directory: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await access.first_start(data_directory / "missing" / "admin-token")
    assert await access.list_users() == []
    assert await access.first_start(data_directory / "admin-token") is not None


async def test_a_person_is_made_and_listed(access: Access, told: Told) -> None:
    await access.create_user("zoe", is_admin=True, actor="admin")
    await access.create_user("ada", password="correct horse", actor="admin")
    users = await access.list_users()
    assert [(user.name, user.is_admin, user.has_password) for user in users] == [
        ("ada", False, True),
        ("zoe", True, False),
    ]
    entry = await told.last()
    assert (entry.action, entry.actor, entry.subject) == ("access:CreateUser", "admin", "user/ada")


@pytest.mark.parametrize("name", ["Ada", "halage", "a/b", ""])
async def test_a_bad_name_makes_nobody(access: Access, name: str) -> None:
    with pytest.raises(Unusable):
        await access.create_user(name, actor="admin")
    assert await access.list_users() == []


async def test_a_short_password_makes_nobody(access: Access) -> None:
    with pytest.raises(Unusable):
        await access.create_user("ada", password="short", actor="admin")
    assert await access.list_users() == []


async def test_a_name_is_used_once_even_after_its_person_left(access: Access, ada: Principal) -> None:
    with pytest.raises(UserConflict):
        await access.create_user("ada", actor="admin")
    await access.end_user("ada", actor="admin")
    with pytest.raises(UserConflict):
        await access.create_user("ada", actor="admin")


async def test_who_has_left_comes_in_by_no_way(access: Access, ada: Principal, told: Told) -> None:
    _, api = await access.create_token("ada", "laptop", actor="ada")
    _, git = await access.create_token("ada", "git", kind="git", actor="ada")
    _, session = await access.open_session(ada)
    link = await access.create_login_link("ada", "admin")
    await access.set_member("shop", "ada", Role.ADMIN, "admin")
    await access.end_user("ada", actor="admin")
    assert (await told.last()).action == "access:EndUser"
    with pytest.raises(BadCredential, match="left"):
        await access.authenticate_token(api)
    with pytest.raises(BadCredential, match="left"):
        await access.authenticate_git("ada", git)
    with pytest.raises(BadCredential):
        await access.authenticate_session(session)
    with pytest.raises(BadCredential):
        await access.redeem_login_link(link)
    with pytest.raises(BadCredential):
        await access.authenticate_password("ada", "correct horse", "192.0.2.1")
    with pytest.raises(NoSuchUser):
        await access.open_session(ada)
    with pytest.raises(NoSuchUser):
        await access.create_token("ada", "again", actor="ada")
    assert await access.members("shop") == {}


async def test_the_last_administrator_stays(access: Access) -> None:
    await access.create_user("one", is_admin=True, actor="admin")
    with pytest.raises(UserConflict):
        await access.end_user("one", actor="one")
    await access.create_user("two", is_admin=True, actor="one")
    await access.end_user("one", actor="two")
    with pytest.raises(UserConflict):
        await access.end_user("two", actor="two")


async def test_another_password_ends_what_the_old_one_opened(access: Access, ada: Principal) -> None:
    _, here = await access.open_session(ada)
    _, elsewhere = await access.open_session(ada)
    _, token = await access.create_token("ada", "laptop", actor="ada")
    link = await access.create_login_link("ada", "admin")
    await access.set_password("ada", "battery staple", "ada", keep_session=here)
    assert (await access.authenticate_session(here))[0].name == "ada"
    assert (await access.authenticate_token(token)).name == "ada"
    with pytest.raises(BadCredential):
        await access.authenticate_session(elsewhere)
    with pytest.raises(BadCredential):
        await access.redeem_login_link(link)
    with pytest.raises(BadCredential):
        await access.authenticate_password("ada", "correct horse", "192.0.2.1")
    assert (await access.authenticate_password("ada", "battery staple", "192.0.2.1")).name == "ada"


async def test_nobody_gets_no_password(access: Access) -> None:
    with pytest.raises(NoSuchUser):
        await access.set_password("nobody", "battery staple", "admin")


async def test_members_come_change_and_go(access: Access, ada: Principal, told: Told) -> None:
    await access.set_member("shop", "ada", Role.VIEWER, "admin")
    await access.set_member("shop", "ada", Role.DEVELOPER, "admin")
    await access.set_member("blog", "ada", Role.ADMIN, "admin")
    assert await access.members("shop") == {"ada": Role.DEVELOPER}
    _, secret = await access.open_session(ada)
    principal, _ = await access.authenticate_session(secret)
    assert principal.roles == {"shop": Role.DEVELOPER, "blog": Role.ADMIN}
    before = len(await told.all())
    await access.set_member("shop", "ada", Role.DEVELOPER, "admin")
    assert len(await told.all()) == before
    await access.set_member("shop", "ada", None, "admin")
    entry = await told.last()
    assert (entry.project, entry.details) == ("shop", {"user": "ada", "role": None})
    await access.forget_project("blog")
    assert (await access.authenticate_session(secret))[0].roles == {}


async def test_nobody_is_no_member(access: Access) -> None:
    with pytest.raises(NoSuchUser, match="ghost"):
        await access.set_member("shop", "ghost", Role.ADMIN, "admin")
