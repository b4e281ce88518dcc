"""The end of a certificate, from a real handshake."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from halage.monitor.collect.certificates import read_end

END = datetime.datetime(2020, 5, 17, 12, 0, tzinfo=datetime.UTC)
"""Long past: browsers refuse it, and its end is told all the same."""


def certificate(directory: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(END - datetime.timedelta(days=90))
        .not_valid_after(END)
        .sign(key, hashes.SHA256())
    )
    pem = directory / "shop.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.fixture
async def secured(tmp_path: Path, free_port: int) -> AsyncIterator[int]:
    async with await asyncio.start_server(hang_up, "127.0.0.1", free_port, ssl=certificate(tmp_path)):
        yield free_port


@pytest.fixture
async def plain(free_port: int) -> AsyncIterator[int]:
    async with await asyncio.start_server(hang_up, "127.0.0.1", free_port):
        yield free_port


async def test_the_end_is_told_whatever_browsers_think_of_it(secured: int) -> None:
    assert await asyncio.to_thread(read_end, "localhost", secured) == END.timestamp()


async def test_nothing_is_told_when_nobody_answers_or_not_over_tls(plain: int, free_port: int) -> None:
    assert await asyncio.to_thread(read_end, "localhost", plain) is None
    assert await asyncio.to_thread(read_end, "no.such.name.invalid", plain) is None


def test_nothing_is_told_of_a_closed_port(free_port: int) -> None:
    assert read_end("127.0.0.1", free_port) is None
