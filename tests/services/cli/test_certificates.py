"""`halage env certificate`, against the real API."""

import time
from pathlib import Path

import pytest

from halage.balancer.certificates import make_certificate
from tests.services.cli.conftest import Halage

GIVEN = make_certificate(["shop.test"], time.time(), None)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A certificate and its key, in files."""
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_text(GIVEN.chain)
    key.write_text(GIVEN.key)
    return str(chain), str(key)


def test_a_certificate_is_given_shown_made_and_removed(as_admin: Halage, files: tuple[str, str]) -> None:
    chain, key = files
    given = as_admin("env", "certificate", "set", "shop", "prod", "--certificate", chain, "--key", key)
    assert given.code == 0, given.err
    assert "given" in given.out and "shop.test" in given.out
    shown = as_admin("env", "certificate", "show", "shop", "prod")
    assert "SHA-256" in shown.out and "PRIVATE" not in shown.out
    made = as_admin("env", "certificate", "make", "shop", "prod", "--self-signed")
    assert "self-signed" in made.out
    assert as_admin("env", "certificate", "remove", "shop", "prod").code == 0
    assert "made" in as_admin("env", "certificate", "show", "shop", "prod").out


def test_that_of_the_console_and_the_authority(as_admin: Halage) -> None:
    assert "halage.test" in as_admin("env", "certificate", "show", "--console").out
    assert "self-signed" in as_admin("env", "certificate", "make", "--console", "--self-signed").out
    assert as_admin("env", "certificate", "remove", "--console").code == 0
    assert as_admin("env", "certificate", "authority").out.startswith("-----BEGIN CERTIFICATE-----")


def test_what_is_wrong_is_said(as_admin: Halage, files: tuple[str, str], tmp_path: Path) -> None:
    chain, key = files
    for words, said in (
        (("show",), "a project and an environment, or --console"),
        (("show", "shop", "prod", "--console"), "or --console"),
        (("set", "shop", "prod"), "--certificate FILE"),
        (("set", "shop", "prod", "--certificate", chain), "no private key in PEM"),
        (("set", "--console", "--certificate", chain, "--key", key), "for none of the host names"),
    ):
        answer = as_admin("env", "certificate", *words)
        assert answer.code == 2, answer
        assert said in " ".join(answer.err.split()), answer.err
    binary = tmp_path / "binary.der"
    binary.write_bytes(b"\x30\x82\xff\xfe")
    answer = as_admin("env", "certificate", "set", "shop", "prod", "--certificate", str(binary))
    assert "is not PEM" in " ".join(answer.err.split())
