from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.components.source.rig import Rig, running


@pytest.fixture
async def rig(data_directory: Path, tmp_path: Path, free_port: int) -> AsyncIterator[Rig]:
    async with running(data_directory, tmp_path / "home", free_port) as one:
        yield one
