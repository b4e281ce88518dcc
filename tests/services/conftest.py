"""The ground that the control planes of a test stand on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clock import ManualClock
from tests.controlplane import Ground


@pytest.fixture
def ground(data_directory: Path, clock: ManualClock) -> Iterator[Ground]:
    ground = Ground(data_directory, clock)
    yield ground
    ground.close()
    assert ground.notes.illegal == [], "a unit was started twice"
