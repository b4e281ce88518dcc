from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from halage.web.app import create_app
from tests.services.web.console.sample import Sample, make_sample
from tests.services.web.console.visit import Visits


@pytest.fixture
async def sample(tmp_path: Path) -> AsyncIterator[Sample]:
    """Rich sample services behind the console."""
    sample = await make_sample(tmp_path)
    yield sample
    await sample.services.logs.close()
    sample.services.database.close()


@pytest.fixture
async def visits(sample: Sample) -> Visits:
    """Browsers without a script, one for each person."""
    return Visits(create_app(sample.services), sample.services)
