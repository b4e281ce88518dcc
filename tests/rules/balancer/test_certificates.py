"""What is told of a certificate that cannot be used, and that made ones are good."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import verification

from halage.balancer.certificates import (
    AUTHORITY_DAYS,
    fingerprint_of,
    issuer_of,
    make_authority,
    make_certificate,
    read_certificate,
)
from halage.balancer.errors import BadCertificate
from halage.balancer.model import Certificate

NOW = 1_790_000_000.0
DAY = 86400.0
AUTHORITY = make_authority("Halage of the tests", NOW)
MADE = make_certificate(["shop.example", "www.shop.example"], NOW, AUTHORITY)
PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8


def key_text(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b""
) -> str:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(PEM, PKCS8, lock).decode()


def verified(certificate: Certificate, host: str, authority: Certificate, now: float) -> None:
    """What a browser does. Raises VerificationError."""
    roots = x509.load_pem_x509_certificates(authority.chain.encode())
    leaf, *rest = x509.load_pem_x509_certificates(certificate.chain.encode())
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    builder = verification.PolicyBuilder().store(verification.Store(roots)).time(moment)
    builder.build_server_verifier(x509.DNSName(host)).verify(leaf, rest)


def test_made_certificate_is_good_for_who_trusts_the_authority() -> None:
    for host in ("shop.example", "www.shop.example"):
        verified(MADE, host, AUTHORITY, NOW + 1)
    with pytest.raises(verification.VerificationError):
        verified(MADE, "blog.example", AUTHORITY, NOW + 1)
    with pytest.raises(verification.VerificationError):
        verified(MADE, "shop.example", make_authority("Another", NOW), NOW + 1)
    assert issuer_of(MADE) == "Halage of the tests"
    assert MADE.ends_at == NOW + 90 * DAY


def test_made_certificate_does_not_outlive_its_authority() -> None:
    late = NOW + (AUTHORITY_DAYS - 10) * DAY
    assert make_certificate(["a.example"], late, AUTHORITY).ends_at == AUTHORITY.ends_at


def test_self_signed_one_is_its_own_issuer() -> None:
    own = make_certificate(["shop.example"], NOW, None)
    assert issuer_of(own) == "shop.example"
    assert read_certificate(own.chain, own.key, NOW) == own


def test_given_certificate_is_read_with_its_names_and_end() -> None:
    given = read_certificate(MADE.chain, MADE.key, NOW)
    assert given == MADE
    assert given.names == ("shop.example", "www.shop.example")
    assert len(fingerprint_of(given)) == 95
    assert "PRIVATE" not in repr(given)


def test_order_and_what_does_not_belong_there_do_not_matter() -> None:
    other = make_certificate(["other.example"], NOW, AUTHORITY)
    mixed = f"# a comment\n{AUTHORITY.chain}{other.chain}{MADE.key}{MADE.chain}"
    given = read_certificate(mixed, "", NOW)
    assert given.chain == MADE.chain  # roots are not sent: browsers have theirs
    assert given == MADE


def test_parameters_of_the_curve_before_the_key_are_left_out() -> None:
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    assert read_certificate(MADE.chain, parameters + MADE.key, NOW) == MADE


@pytest.mark.parametrize(
    ("chain", "key", "now", "words"),
    [
        ("", MADE.key, NOW, "no certificate in PEM"),
        (MADE.chain, "", NOW, "no private key in PEM"),
        (MADE.chain.replace("MII", "MIX", 1), MADE.key, NOW, "cannot be read"),
        (MADE.chain, MADE.key.replace("MIG", "XXX", 1), NOW, "key cannot be read"),
        (MADE.chain, key_text(ec.generate_private_key(ec.SECP256R1())), NOW, "does not fit the certificate"),
        (MADE.chain, key_text(ec.generate_private_key(ec.SECP256R1()), b"pw"), NOW, "locked with a password"),
        (MADE.chain, key_text(rsa.generate_private_key(65537, 1024)), NOW, "1024 bits is too short"),
        (MADE.chain, key_text(ed25519.Ed25519PrivateKey.generate()), NOW, "RSA and of elliptic curves"),
        (MADE.chain, MADE.key, NOW + 91 * DAY, "ended on 2026-12-"),
        (MADE.chain, MADE.key, NOW - DAY, "is good from 2026-09-21"),
        (AUTHORITY.chain, AUTHORITY.key, NOW, "names no host"),
        (MADE.chain * 100, MADE.key, NOW, "longer than 64 KiB"),
    ],
)
def test_what_is_wrong_is_said_without_the_key(chain: str, key: str, now: float, words: str) -> None:
    with pytest.raises(BadCertificate, match=words) as caught:
        read_certificate(chain, key, now)
    secret = "".join(key.splitlines()[1:-1])
    assert not secret or secret not in caught.value.message
    assert caught.value.__cause__ is None
