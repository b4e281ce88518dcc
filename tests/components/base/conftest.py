from collections.abc import Iterator
from pathlib import Path

import pytest

from halage.base.database import Database
from halage.base.journal import Journal
from tests.clock import ManualClock
from tests.postgresql import PostgreSQL


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A new, empty database of each kind."""
    url = f"sqlite:///{tmp_path}/halage.db"
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.new_database()
    made = Database(url, clock=ManualClock(), journal=Journal())
    yield made
    made.close()
