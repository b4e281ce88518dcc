"""Control groups of starts that were cut off: deleted at the next start, also when they are held a moment."""

import asyncio
import subprocess
import uuid
from pathlib import Path

import pytest

from halage.compute.drivers.process import ProcessDriver, ProcessSettings
from halage.compute.drivers.process.cgroups import find_cgroups
from halage.compute.model import MIB, Limits


def test_what_is_left_of_a_group_that_was_deleted_in_part_goes_too(tmp_path: Path) -> None:
    cgroups = find_cgroups(f"halage-test-{uuid.uuid4().hex[:12]}")
    if len(cgroups.parents) < 2:
        pytest.skip("a group is one directory here")
    for gone in range(len(cgroups.parents)):
        group = cgroups.create("i-1.1", Limits(1.0, 64 * MIB))
        group.directories[gone].rmdir()
        assert group.remove()
        assert not any(directory.exists() for directory in group.directories)
        assert group.remove(), "there is nothing any more"
    cgroups.retire()


async def test_a_stray_group_goes_though_a_process_is_just_ending_in_it(tmp_path: Path) -> None:
    name = f"halage-test-{uuid.uuid4().hex[:12]}"
    cgroups = find_cgroups(name)
    if not cgroups.parents:
        pytest.skip(f"control groups cannot be used here: {cgroups.missing}")
    directories = cgroups.paths("i-cutoff.1")
    for directory in directories:
        directory.mkdir()
    with subprocess.Popen(["sleep", "0.3"]) as ending:  # noqa: ASYNC220 - it returns at once
        reaping = asyncio.get_running_loop().run_in_executor(None, ending.wait)
        for directory in directories:
            (directory / "cgroup.procs").write_text(str(ending.pid))
        async with ProcessDriver(tmp_path / "units", ProcessSettings(cgroup_name=name)) as driver:
            assert await driver.list() == []
            assert not any(directory.exists() for directory in directories)
        await reaping
    assert not any(parent.exists() for parent in cgroups.parents)
