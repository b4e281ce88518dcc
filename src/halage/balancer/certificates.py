"""Certificates: read with what is wrong with them, and made for the purpose. Pure but for chance."""

import datetime
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from halage.balancer.errors import BadCertificate
from halage.balancer.model import Certificate

LEAST_RSA_BITS = 2048
AUTHORITY_DAYS = 3650
MADE_DAYS = 90
_LONGEST_PEM_BYTES = 64 * 1024
_LONGEST_COMMON_NAME = 64
_BACKDATED = datetime.timedelta(hours=1)
"""The clocks of visitors may be behind ours."""


def read_certificate(chain: str, key: str, now: float | None) -> Certificate:
    """The certificate that a person gives: its key fits, it has names, it has not ended.

    `chain` may be in any order and hold what does not belong to it (that is left out); it may hold
    the key as well, where `key` is empty. `now` None: whether it has ended does not count.
    Raises BadCertificate, which shows nothing of the key.
    """
    if len(chain) + len(key) > _LONGEST_PEM_BYTES:
        raise BadCertificate(f"the certificate is longer than {_LONGEST_PEM_BYTES // 1024} KiB of PEM")
    private = _read_key(key.strip() or chain)
    ordered = _in_order(_read_chain(chain), private)
    leaf = ordered[0]
    if now is not None:
        _check_time(leaf, now)
    if not (names := _names_of(leaf)):
        raise BadCertificate(
            "the certificate names no host in its field `subject alternative name`, which is the only one "
            "that browsers look at: ask its issuer for one that does"
        )
    return Certificate(
        chain="".join(_pem(each) for each in ordered),
        key=_key_pem(private),
        names=names,
        ends_at=leaf.not_valid_after_utc.timestamp(),
    )


def make_authority(name: str, now: float) -> Certificate:
    """An authority of one's own: people who take its certificate into their browsers trust what it signs."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    unsigned = _builder(subject, subject, key, now, AUTHORITY_DAYS)
    constraint = x509.BasicConstraints(ca=True, path_length=0)
    signed = (
        unsigned.add_extension(constraint, critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _made(signed, key)


def make_certificate(
    hosts: Sequence[str], now: float, authority: Certificate | None, days: int = MADE_DAYS
) -> Certificate:
    """A new certificate and key for host names, signed by the authority; without one, by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(hosts[0])
    issuer, signer = subject, key
    if authority is not None:
        issuer = x509.load_pem_x509_certificate(authority.chain.encode()).subject
        loaded = serialization.load_pem_private_key(authority.key.encode(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
        days = min(days, int((authority.ends_at - now) // 86400))
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    signed = (
        _builder(subject, issuer, key, now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(names, critical=False)
        .sign(signer, hashes.SHA256())
    )
    return _made(signed, key)


def fingerprint_of(certificate: Certificate) -> str:
    """Its SHA-256 as browsers show it: `AB:CD:...`."""
    leaf = x509.load_pem_x509_certificate(certificate.chain.encode())
    return leaf.fingerprint(hashes.SHA256()).hex(":").upper()


def end_of(chain: str) -> float:
    """When the first certificate of a chain ends (seconds, epoch)."""
    return x509.load_pem_x509_certificate(chain.encode()).not_valid_after_utc.timestamp()


def issuer_of(certificate: Certificate) -> str:
    """Who signed it, in one line."""
    issuer = x509.load_pem_x509_certificate(certificate.chain.encode()).issuer
    common = issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    organisation = issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    words = [str(each.value) for each in (*common, *organisation)]
    return ", ".join(dict.fromkeys(words)) or issuer.rfc4514_string()


def _read_chain(text: str) -> list[x509.Certificate]:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    blocks = [part.partition(end)[0] for part in text.split(begin)[1:]]
    if not blocks:
        raise BadCertificate(
            f"there is no certificate in PEM: it begins with {begin} (a file in DER is turned into one by "
            "`openssl x509 -inform der -in FILE`)"
        )
    try:
        found = [x509.load_pem_x509_certificate(f"{begin}{block}{end}\n".encode()) for block in blocks]
    except ValueError as error:
        raise BadCertificate(f"the certificate cannot be read: {error}") from None
    return found


def _read_key(text: str) -> PrivateKeyTypes:
    begin = text.find("-----BEGIN ")
    while begin >= 0 and "PRIVATE KEY-----" not in text[begin : begin + 40]:
        begin = text.find("-----BEGIN ", begin + 1)
    if begin < 0:
        raise BadCertificate(
            "there is no private key in PEM: it begins with -----BEGIN PRIVATE KEY----- or the like"
        )
    # What openssl writes before a key (the parameters of its curve) and behind it is left out.
    end = text.find("-----END ", begin)
    block = text[begin : text.find("-----", end + 9) + 5] + "\n"
    try:
        key = serialization.load_pem_private_key(block.encode(), None)
    except TypeError:
        raise BadCertificate(
            "the private key is locked with a password: `openssl pkey -in FILE` prints it without"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        # The text of the cause could quote the key.
        raise BadCertificate("the private key cannot be read: is the file whole, and in PEM?") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < LEAST_RSA_BITS:
        raise BadCertificate(
            f"an RSA key of {key.key_size} bits is too short: browsers ask for {LEAST_RSA_BITS} or more"
        )
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise BadCertificate("browsers take keys of RSA and of elliptic curves (P-256, P-384) alone")
    return key


def _in_order(found: Sequence[x509.Certificate], key: PrivateKeyTypes) -> list[x509.Certificate]:
    """The certificate of the key first, then its issuers as far as they are there, without a root."""
    public = _public_bytes(key.public_key())
    leaf = next((each for each in found if _public_bytes(each.public_key()) == public), None)
    if leaf is None:
        subjects = ", ".join(each.subject.rfc4514_string() for each in found)
        raise BadCertificate(
            f"the private key does not fit the certificate of {subjects}: they are two pairs"
        )
    chain = [leaf]
    while chain[-1].issuer != chain[-1].subject:
        issuer = next((each for each in found if each not in chain and _has_signed(each, chain[-1])), None)
        if issuer is None or issuer.issuer == issuer.subject:
            break
        chain.append(issuer)
    return chain


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_time(leaf: x509.Certificate, now: float) -> None:
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if end.timestamp() <= now:
        raise BadCertificate(f"the certificate ended on {end:%Y-%m-%d}: ask its issuer for a new one")
    if begin.timestamp() > now:
        raise BadCertificate(f"the certificate is good from {begin:%Y-%m-%d %H:%M} UTC on, and not before")


def _names_of(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    hosts = [name.lower() for name in names.get_values_for_type(x509.DNSName)]
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return tuple(dict.fromkeys([*hosts, *addresses]))


def _made(signed: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Certificate:
    return Certificate(_pem(signed), _key_pem(key), _names_of(signed), signed.not_valid_after_utc.timestamp())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: float, days: int
) -> x509.CertificateBuilder:
    moment = datetime.datetime.fromtimestamp(int(now), datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _BACKDATED)
        .not_valid_after(moment + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:_LONGEST_COMMON_NAME])])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _public_bytes(key: object) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)  # type: ignore[attr-defined,no-any-return]


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: PrivateKeyTypes) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
