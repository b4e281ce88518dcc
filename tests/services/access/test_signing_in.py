"""Passwords, the limit of attempts, sessions, login links."""

import asyncio
from pathlib import Path

import pytest

from halage.access import people
from halage.access.errors import BadCredential, NoSuchUser, TooManyAttempts
from halage.access.model import Principal, SessionLimits
from halage.access.service import Access
from halage.base.database import Database
from halage.base.errors import NotAllowed
from halage.base.journal import Journal
from halage.base.schema import metadata
from tests.clock import ManualClock
from tests.services.access.conftest import CountedPasswords, Told

HOME = "192.0.2.1"
PASSWORD = "correct horse"


async def fail(access: Access, times: int, *, user: str = "ada", address: str = HOME) -> None:
    for _ in range(times):
        with pytest.raises(BadCredential):
            await access.authenticate_password(user, "wrong password", address)


async def test_the_right_password_signs_in(access: Access, ada: Principal) -> None:
    principal = await access.authenticate_password("ada", PASSWORD, HOME)
    assert (principal.name, principal.via) == ("ada", "password")


async def test_the_same_password_typed_on_another_system_signs_in(access: Access) -> None:
    await access.create_user("noel", password="caf\u00e9 au lait", actor="admin")
    assert (await access.authenticate_password("noel", "cafe\u0301 au lait", HOME)).name == "noel"


async def test_a_wrong_name_and_a_wrong_password_look_the_same(
    access: Access, ada: Principal, passwords: CountedPasswords, told: Told
) -> None:
    await access.create_user("nopass", actor="admin")
    messages, entries = set(), []
    for user in ("ada", "nobody", "nopass", "No Name At All", "a\x00b"):
        before = len(await told.all())
        passwords.costs.clear()
        with pytest.raises(BadCredential) as caught:
            await access.authenticate_password(user, "wrong password", HOME)
        messages.add(caught.value.message)
        assert passwords.costs == ["$argon2id$v=19$m=8,t=1,p=1"], "an unknown user must cost the same"
        entries.append(len(await told.all()) - before)
    assert len(messages) == 1
    assert entries == [1] * 5, "and as many writes"


async def test_the_empty_hash_compares_at_the_cost_of_a_real_one() -> None:
    passwords = CountedPasswords()
    real = await passwords.hash("correct horse")
    assert not passwords.is_outdated(passwords._nobody)
    assert passwords._nobody.split("$")[:4] == real.split("$")[:4]
    assert len(passwords._nobody) == len(real)
    assert not await passwords.verify(None, "correct horse")


async def test_after_five_failures_one_waits_and_the_wait_grows(
    access: Access, ada: Principal, clock: ManualClock
) -> None:
    await fail(access, 5)
    waits = []
    for _ in range(4):
        with pytest.raises(TooManyAttempts) as caught:
            await access.authenticate_password("ada", PASSWORD, HOME)
        waits.append(caught.value.facts["retry_after_s"])
        await clock.advance(waits[-1])
        await fail(access, 1)
    assert waits == [5, 10, 20, 40]


async def test_who_waits_gets_in_and_starts_afresh(
    access: Access, ada: Principal, clock: ManualClock
) -> None:
    await fail(access, 5)
    with pytest.raises(TooManyAttempts):
        await access.authenticate_password("ada", PASSWORD, HOME)
    await clock.advance(5)
    assert (await access.authenticate_password("ada", PASSWORD, HOME)).name == "ada"
    await fail(access, 5)


async def test_the_limit_holds_for_the_user_from_any_address(access: Access, ada: Principal) -> None:
    for number in range(5):
        await fail(access, 1, address=f"192.0.2.{number}")
    with pytest.raises(TooManyAttempts):
        await access.authenticate_password("ada", PASSWORD, "198.51.100.1")


async def test_the_limit_holds_for_names_that_nobody_has(access: Access) -> None:
    await fail(access, 5, user="nobody")
    with pytest.raises(TooManyAttempts):
        await access.authenticate_password("nobody", PASSWORD, HOME)


async def test_the_limit_holds_for_the_address_with_any_name(access: Access, ada: Principal) -> None:
    for number in range(20):
        await fail(access, 1, user=f"guess-{number}")
    with pytest.raises(TooManyAttempts):
        await access.authenticate_password("ada", PASSWORD, HOME)
    assert (await access.authenticate_password("ada", PASSWORD, "198.51.100.1")).name == "ada"


async def test_an_account_of_ones_own_does_not_wipe_the_slate(access: Access, ada: Principal) -> None:
    for number in range(20):
        await fail(access, 1, user=f"guess-{number}")
        if number < 19:
            await access.authenticate_password("ada", PASSWORD, HOME)
    with pytest.raises(TooManyAttempts):
        await access.authenticate_password("ada", PASSWORD, HOME)


async def test_guesses_sent_at_once_count_each(
    access: Access, ada: Principal, passwords: CountedPasswords
) -> None:
    guesses = (access.authenticate_password("ada", f"guess {n}", HOME) for n in range(50))
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert [type(result) for result in results].count(BadCredential) == 5
    assert [type(result) for result in results].count(TooManyAttempts) == 45
    assert len(passwords.costs) == 5


async def test_the_limit_survives_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    for is_first in (True, False):
        database = Database(f"sqlite:///{tmp_path}/halage.db", clock=clock, journal=Journal())
        metadata.create_all(database.engine)
        access = Access(database, clock, tmp_path / "key", passwords=CountedPasswords())
        if is_first:
            await access.create_user("ada", password=PASSWORD, actor="admin")
            await fail(access, 5)
        with pytest.raises(TooManyAttempts):
            await access.authenticate_password("ada", PASSWORD, HOME)
        database.close()


async def test_failures_are_told_without_what_was_typed(access: Access, ada: Principal, told: Told) -> None:
    await fail(access, 1)
    entry = await told.last()
    assert (entry.action, entry.subject, entry.details) == (
        "access:SignInFailed",
        "user/ada",
        {"address": HOME},
    )
    await fail(access, 1, user="hunter2-typed-as-name")
    assert "hunter2" not in repr(await told.all())


async def test_a_hash_of_yesterdays_cost_is_made_anew(
    access: Access, database: Database, clock: ManualClock, key_file: Path, ada: Principal
) -> None:
    today = CountedPasswords(time_cost=2)
    newer = Access(database, clock, key_file, passwords=today)
    await newer.authenticate_password("ada", PASSWORD, HOME)
    with database.engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT password_hash FROM access_users").scalar_one()
    assert "t=2" in kept
    assert (await newer.authenticate_password("ada", PASSWORD, HOME)).name == "ada"


async def test_a_password_changed_while_it_was_compared_does_not_sign_in(
    access: Access, database: Database, ada: Principal, passwords: CountedPasswords
) -> None:
    signing_in = asyncio.gather(access.authenticate_password("ada", PASSWORD, HOME), return_exceptions=True)
    await passwords.begun.wait()
    await database.run(people.put_password, "ada", "another hash", "ada", None)
    assert isinstance((await signing_in)[0], BadCredential)


async def test_a_session_opens_and_closes(access: Access, ada: Principal, told: Told) -> None:
    session, secret = await access.open_session(ada)
    principal, csrf = await access.authenticate_session(secret)
    assert (principal.name, principal.via, csrf) == ("ada", "session", session.csrf_token)
    await access.close_session(secret)
    await access.close_session(secret)
    with pytest.raises(BadCredential):
        await access.authenticate_session(secret)
    assert (await told.actions())[-2:] == ["access:SignIn", "access:SignOut"]


async def test_a_session_ends_after_twelve_idle_hours(
    access: Access, ada: Principal, clock: ManualClock
) -> None:
    _, secret = await access.open_session(ada)
    for _ in range(5):
        await clock.advance(11.9 * 3600)
        await access.authenticate_session(secret)
    await clock.advance(12 * 3600)
    with pytest.raises(BadCredential, match="ended"):
        await access.authenticate_session(secret)


async def test_a_session_ends_after_thirty_days_of_use(
    access: Access, ada: Principal, clock: ManualClock
) -> None:
    _, secret = await access.open_session(ada)
    for _ in range(30 * 24 // 6 - 1):
        await clock.advance(6 * 3600)
        await access.authenticate_session(secret)
    await clock.advance(6 * 3600)
    with pytest.raises(BadCredential, match="ended"):
        await access.authenticate_session(secret)


async def test_the_limits_of_sessions_can_be_set(
    database: Database, clock: ManualClock, key_file: Path, access: Access, ada: Principal
) -> None:
    strict = Access(database, clock, key_file, session_limits=SessionLimits(60, 600))
    session, secret = await strict.open_session(ada)
    assert session.ends_at == clock.now() + 60
    await clock.advance(60)
    with pytest.raises(BadCredential):
        await strict.authenticate_session(secret)


async def test_sessions_that_ended_are_forgotten(
    access: Access, database: Database, ada: Principal, clock: ManualClock
) -> None:
    for _ in range(3):
        await access.open_session(ada)
    await clock.advance(12 * 3600)
    await access.open_session(ada)
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM access_sessions").scalar_one() == 1


async def test_csrf_tokens_are_good_for_their_session_only(access: Access, ada: Principal) -> None:
    session, secret = await access.open_session(ada)
    other, _ = await access.open_session(ada)
    access.check_csrf(secret, session.csrf_token)
    for wrong in (other.csrf_token, "", None, "é\ud800", secret):
        with pytest.raises(NotAllowed):
            access.check_csrf(secret, wrong)


async def test_a_login_link_opens_once(access: Access, ada: Principal) -> None:
    link = await access.create_login_link("ada", "admin")
    session, secret = await access.redeem_login_link(link)
    assert session.user == "ada"
    assert (await access.authenticate_session(secret))[0].name == "ada"
    with pytest.raises(BadCredential, match="once"):
        await access.redeem_login_link(link)


async def test_a_login_link_ends_after_a_day(access: Access, ada: Principal, clock: ManualClock) -> None:
    link = await access.create_login_link("ada", "admin")
    await clock.advance(86400)
    with pytest.raises(BadCredential):
        await access.redeem_login_link(link)


@pytest.mark.parametrize("link", ["", "login_x", "\ud800"])
async def test_what_is_no_link_opens_nothing(access: Access, ada: Principal, link: str) -> None:
    with pytest.raises(BadCredential):
        await access.redeem_login_link(link)


async def test_nobody_gets_no_link(access: Access) -> None:
    with pytest.raises(NoSuchUser):
        await access.create_login_link("nobody", "admin")
