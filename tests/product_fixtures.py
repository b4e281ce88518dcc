"""Fixtures of the tiers that run against the installed product; imported by their conftest."""

from collections.abc import Iterator

import pytest

from tests.ports import unused_port
from tests.product import Product, product


@pytest.fixture(scope="module")
def server() -> Iterator[Product]:
    """A server for each file of tests: they differ in their projects."""
    with product(unused_port(), unused_port()) as one:
        yield one


@pytest.fixture(autouse=True)
def log_of_a_failing_test(server: Product) -> Iterator[None]:
    """What the server said meanwhile, shown by pytest when the test has failed."""
    begin = server.log.stat().st_size
    yield
    lines = server.log.read_bytes()[begin:].decode(errors="replace").splitlines()
    print("\n".join(line for line in lines if '"method": "GET"' not in line)[-8000:])
