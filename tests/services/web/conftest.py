from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.services.web.world import World, make_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A small world behind the web door."""
    world = await make_world(tmp_path)
    yield world
    await world.services.logs.close()
    world.services.database.close()
