"""The secrets of sites, and that no secret shows anywhere."""

import hashlib
import re
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from halage.access.errors import BadCredential, KeyUnusable
from halage.access.model import Principal
from halage.access.secrets import SecretBox
from halage.access.service import Access
from halage.access.store import users
from halage.base.database import Database, Transaction
from tests.services.access.conftest import Told


@pytest.fixture
def box(key_file: Path) -> SecretBox:
    box = SecretBox(key_file)
    box.make_key()
    return box


@given(st.text(st.characters(exclude_categories=["Cs"])))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_what_is_sealed_opens_again(box: SecretBox, text: str) -> None:
    assert box.open(box.seal(text)) == text


def test_a_sealed_value_shows_nothing_and_is_another_each_time(box: SecretBox, key_file: Path) -> None:
    one, other = box.seal("hunter2"), box.seal("hunter2")
    assert one != other
    assert "hunter2" not in one
    assert key_file.read_text().strip() not in one + repr(box)


def test_another_box_with_the_same_key_opens_it(box: SecretBox, key_file: Path) -> None:
    assert SecretBox(key_file).open(box.seal("hunter2")) == "hunter2"


def test_a_key_is_made_once_and_for_the_owner_alone(box: SecretBox, key_file: Path) -> None:
    key = key_file.read_bytes()
    assert key_file.stat().st_mode & 0o777 == 0o600
    box.make_key()
    assert key_file.read_bytes() == key


def test_a_missing_key_is_not_made_anew_behind_ones_back(box: SecretBox, key_file: Path) -> None:
    sealed = box.seal("hunter2")
    key_file.unlink()
    fresh = SecretBox(key_file)
    with pytest.raises(KeyUnusable, match=re.escape(str(key_file))):
        fresh.open(sealed)
    with pytest.raises(KeyUnusable, match=re.escape(str(key_file))):
        fresh.seal("x")
    assert not key_file.exists()


def test_another_key_is_told_from_a_damaged_value(box: SecretBox, key_file: Path) -> None:
    sealed = box.seal("hunter2")
    key_file.unlink()
    other = SecretBox(key_file)
    other.make_key()
    with pytest.raises(KeyUnusable, match="another key"):
        other.open(sealed)
    with pytest.raises(KeyUnusable, match="damaged"):
        other.open(other.seal("hunter2")[:-5])


@pytest.mark.parametrize("content", [b"", b"not a key", b"\xff" * 44, b"A" * 43])
def test_a_file_that_holds_no_key_says_so_without_its_content(key_file: Path, content: bytes) -> None:
    key_file.write_bytes(content)
    key_file.chmod(0o600)
    with pytest.raises(KeyUnusable, match="does not hold a key") as caught:
        SecretBox(key_file).seal("x")
    assert not content or content.decode("latin-1") not in caught.value.message


def test_a_key_that_others_may_read_is_refused(box: SecretBox, key_file: Path) -> None:
    key_file.chmod(0o640)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        SecretBox(key_file).seal("x")


async def test_no_secret_is_in_the_database_the_journal_the_log_or_a_repr(
    access: Access, database: Database, ada: Principal, data_directory: Path, told: Told
) -> None:
    with structlog.testing.capture_logs() as logs:
        first = await access.first_start(data_directory / "admin-token")
        assert first is None  # ada is there already
        token, token_secret = await access.create_token("ada", "laptop", actor="ada")
        git, git_secret = await access.create_token("ada", "git", kind="git", actor="ada")
        link = await access.create_login_link("ada", "admin")
        session, session_secret = await access.redeem_login_link(link)
        principal = await access.authenticate_password("ada", "correct horse", "192.0.2.1")
        await access.authenticate_token(token_secret)
        with pytest.raises(BadCredential):
            await access.authenticate_password("ada", "wrong password", "192.0.2.1")
    secrets = [token_secret, git_secret, link, session_secret, "correct horse", "wrong password"]
    with database.engine.connect() as connection:
        stored = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    assert hashlib.sha256(token_secret.encode()).hexdigest() in stored
    shown = repr([logs, token, git, session, principal, await access.list_users(), access])
    for secret in (*secrets, session.csrf_token):
        assert secret not in stored + shown
    digests = re.findall(r"\$argon2id\$[^']+", stored)
    assert digests
    for digest in digests:
        assert digest not in shown + repr(await told.all())


async def test_what_a_first_start_gives_does_not_show_in_its_repr(access: Access, told: Told) -> None:
    first = await access.first_start()
    assert first is not None
    shown = repr(first) + repr(await told.all())
    assert first.admin_token not in shown
    assert first.login_link_secret not in shown


async def test_an_error_of_the_database_does_not_show_what_was_to_be_written(database: Database) -> None:
    def add_twice(tx: Transaction) -> None:
        row = {"name": "ada", "password_hash": "$argon2id$secret", "is_admin": False, "created_at": 0.0}
        for _ in range(2):
            tx.execute(users.insert().values(row))

    with pytest.raises(IntegrityError) as caught:
        await database.run(add_twice)
    assert "argon2id" not in str(caught.value)
