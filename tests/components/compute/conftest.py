import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from halage.compute.drivers.process import LogLimits, ProcessDriver, ProcessSettings
from tests.components.compute.units import PROJECT_ACCOUNT


@pytest.fixture
def units() -> Iterator[Path]:
    """A directory for units that other accounts can pass through (pytest's own cannot be)."""
    base = Path(tempfile.mkdtemp(prefix="halage-units-"))
    base.chmod(0o711)
    yield base / "units"
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def workspace(units: Path) -> Path:
    """A directory that the project's account owns."""
    path = units.parent / "workspace"
    path.mkdir(mode=0o700)
    if PROJECT_ACCOUNT is not None:
        os.chown(path, PROJECT_ACCOUNT.uid, PROJECT_ACCOUNT.gid)
    return path


@pytest.fixture
async def driver(units: Path) -> AsyncIterator[ProcessDriver]:
    """A process driver whose units are removed at the end."""
    settings = ProcessSettings(log_limits=LogLimits(), rotation_interval_s=0.05)
    async with ProcessDriver(units, settings) as made:
        yield made
        for unit in await made.list():
            await made.stop(unit.id, 0.0)
            await made.remove(unit.id)
