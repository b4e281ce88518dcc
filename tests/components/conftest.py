"""Servers that component tests share."""

from collections.abc import Iterator

import pytest

from tests.ports import unused_port
from tests.postgresql import PostgreSQL


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    """A PostgreSQL server; each test asks it for a database of its own."""
    server = PostgreSQL(tmp_path_factory.mktemp("postgresql"), unused_port())
    yield server
    server.stop()
