import pytest

from tests.clock import ManualClock
from tests.services.monitor.intake.stage import Stage


@pytest.fixture
def stage(clock: ManualClock) -> Stage:
    return Stage(clock)
