"""Names, passwords, waits, expiry."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.access import credential_rules as rules
from halage.access.credential_rules import Failures
from halage.access.errors import Unusable
from halage.access.model import SessionLimits

NOW = 1_000_000.0


@pytest.mark.parametrize("name", ["admin", "a", "ada.lovelace", "ada_l-2", "x" * 63])
def test_names_that_people_can_have(name: str) -> None:
    rules.check_user_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "Ada", "2ada", "-ada", ".ada", "ada l", "ada/../x", "ada\n", "ada@example.org", "é", "x" * 64,
     "halage", "unknown", "a\x00"],
)  # fmt: skip
def test_names_that_nobody_can_have(name: str) -> None:
    assert not rules.is_user_name(name)
    with pytest.raises(Unusable):
        rules.check_user_name(name)


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1025, "ada-lovelace", "ADA-Lovelace"])
def test_a_password_that_is_refused_is_not_repeated(password: str) -> None:
    with pytest.raises(Unusable) as caught:
        rules.check_password(password, "ada-lovelace")
    assert not password or password not in caught.value.message


def test_a_password_of_eight_characters_will_do() -> None:
    rules.check_password("12345678", "ada")
    rules.check_password("x" * 1024, "ada")


@pytest.mark.parametrize("expires_at", [NOW, NOW - 1, -math.inf, math.inf, math.nan])
def test_a_token_cannot_be_born_expired(expires_at: float) -> None:
    with pytest.raises(Unusable):
        rules.check_new_token("laptop", expires_at, NOW)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b[31m", "x" * 101])
def test_a_token_needs_a_name_that_can_be_shown(name: str) -> None:
    with pytest.raises(Unusable):
        rules.check_new_token(name, None, NOW)


@pytest.mark.parametrize(
    ("count", "wait_s"),
    [(0, 0), (1, 0), (4, 0), (5, 5), (6, 10), (7, 20), (8, 40), (12, 640), (13, 900), (10**9, 900)],
)
def test_the_wait_grows_after_the_fifth_failure(count: int, wait_s: float) -> None:
    assert rules.wait_s(Failures(count, NOW), 5, NOW) == wait_s


def test_the_wait_passes_with_the_time() -> None:
    failures = Failures(6, NOW)
    assert rules.wait_s(failures, 5, NOW + 4) == 6
    assert rules.wait_s(failures, 5, NOW + 10) == 0
    assert rules.wait_s(None, 5, NOW) == 0


def test_a_clock_set_back_makes_nobody_wait_for_years() -> None:
    assert rules.wait_s(Failures(6, NOW), 5, NOW - 1e9) == 10


def test_failures_are_forgotten_after_an_hour_without_one() -> None:
    failures = Failures(100, NOW)
    assert rules.one_more(failures, NOW + 3600) == Failures(101, NOW + 3600)
    assert rules.one_more(failures, NOW + 3601) == Failures(1, NOW + 3601)
    assert rules.wait_s(failures, 5, NOW + 3601) == 0


@given(st.lists(st.floats(0, 5000), max_size=60))
def test_no_pattern_of_guessing_gets_more_than_a_few_an_hour(pauses: list[float]) -> None:
    """Whoever guesses as soon as it is allowed, with any extra pauses, stays under 150 a day."""
    now, failures, guesses = NOW, None, 0
    for extra in [*pauses, *[0.0] * 300]:
        now += rules.wait_s(failures, 5, now) + extra
        if now > NOW + 86400:
            break
        failures = rules.one_more(failures, now)
        guesses += 1
    assert guesses <= 150


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("testclient", "testclient", True),
    ],
)
def test_which_addresses_count_as_one(one: str, other: str, are_same: bool) -> None:
    assert (rules.attempt_key_of_address(one) == rules.attempt_key_of_address(other)) == are_same


@given(st.text(), st.text())
def test_keys_of_attempts_fit_their_column(name: str, address: str) -> None:
    assert len(rules.attempt_key_of_user(name)) <= 100
    assert len(rules.attempt_key_of_address(address)) <= 100


def test_the_key_of_a_users_attempts_does_not_show_what_was_typed() -> None:
    assert "hunter2" not in rules.attempt_key_of_user("hunter2")


def test_a_session_slides_up_to_its_lifetime() -> None:
    limits = SessionLimits()
    assert rules.session_ends_at(NOW, NOW, limits) == NOW + 12 * 3600
    assert rules.session_ends_at(NOW, NOW + 29.9 * 86400, limits) == NOW + 30 * 86400


def test_csrf_tokens_differ_by_session_and_show_no_secret() -> None:
    one, other = rules.csrf_token("session_a"), rules.csrf_token("session_b")
    assert one != other
    assert one == rules.csrf_token("session_a")
    assert "session_a" not in one


@pytest.mark.parametrize(
    ("last", "is_due"), [(None, True), (0.0, False), (59.9, False), (60.0, True), (-90.0, True)]
)
def test_last_used_is_written_once_a_minute(last: float | None, is_due: bool) -> None:
    assert rules.needs_touch(None if last is None else NOW - last, NOW) is is_due
