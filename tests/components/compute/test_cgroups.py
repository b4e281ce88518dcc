"""Control groups of both versions, on a stand-in for what this machine's kernel does not offer."""

from pathlib import Path

import pytest

from halage.compute.abilities import Abilities, Ability
from halage.compute.drivers.process.cgroups import CPU_PERIOD_US, Cgroup, find_cgroups, find_version_2
from halage.compute.model import MIB, Exit, Limits, Usage

LIMITS = Limits(cpu=0.25, memory_bytes=128 * MIB, processes=99)


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    """Files as a version 2 group with all controllers has them."""
    group = tmp_path / "unit"
    group.mkdir()
    for name in ("cpu.max", "memory.max", "memory.swap.max", "memory.oom.group", "pids.max"):
        (group / name).touch()
    (group / "cgroup.procs").write_text("11\n12\n13\n")
    (group / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (group / "memory.current").write_text("5000\n")
    (group / "memory.stat").write_text("anon 3000\ninactive_file 1500\n")
    (group / "memory.peak").write_text("9000\n")
    (group / "memory.events").write_text("low 0\noom 1\noom_kill 0\n")
    return group


def test_version_2_is_limited_as_a_whole(version_2: Path) -> None:
    Cgroup((version_2,)).limit(LIMITS)
    written = {path.name: path.read_text() for path in version_2.glob("*.*")}
    assert written["cpu.max"] == f"{CPU_PERIOD_US // 4} {CPU_PERIOD_US}"
    assert written["memory.max"] == str(128 * MIB)
    assert written["memory.swap.max"] == "0"
    assert written["memory.oom.group"] == "1"
    assert written["pids.max"] == "99"


def test_version_2_is_measured(version_2: Path) -> None:
    group = Cgroup((version_2,))
    assert group.usage() == Usage(2.5, 3500, 9000, 2)
    assert not group.has_run_out_of_memory()
    (version_2 / "memory.events").write_text("oom_kill 1\n")
    assert group.has_run_out_of_memory()


def test_a_kill_below_the_limit_is_the_lack_of_the_machine(version_2: Path) -> None:
    group = Cgroup((version_2,))
    group.limit(LIMITS)
    assert group.has_reached_its_memory()
    assert group.memory_limit_bytes() == 128 * MIB
    (version_2 / "memory.events").write_text("low 0\noom 0\noom_kill 1\n")
    assert not group.has_reached_its_memory()
    assert str(Exit(137, 1.0, True, is_machine_out=True)) == "was killed: the machine had no memory left"


def test_version_2_tells_of_disks_and_of_being_held_back(version_2: Path) -> None:
    (version_2 / "io.stat").write_text(
        "8:0 rbytes=4096 wbytes=100 rios=1 wios=2 dbytes=0\n8:16 rbytes=4 wbytes=5 rios=3 wios=7\n9:0\n"
    )
    (version_2 / "cpu.stat").write_text("usage_usec 2500000\nnr_periods 40\nnr_throttled 10\n")
    usage = Cgroup((version_2,)).usage()
    assert usage is not None
    assert (usage.disk_read_bytes, usage.disk_write_bytes) == (4100, 105)
    assert (usage.disk_read_operations, usage.disk_write_operations) == (4, 9)
    assert (usage.cpu_periods, usage.throttled_periods) == (40, 10)


def test_version_1_tells_of_disk_operations_where_the_kernel_counts_them(version_2: Path) -> None:
    group = Cgroup((version_2,))
    operations = version_2 / "blkio.throttle.io_serviced"
    operations.write_text("Total 0\n")
    usage = group.usage()
    assert usage is not None
    assert (usage.disk_read_operations, usage.disk_read_bytes) == (None, None)
    operations.write_text("8:0 Read 3\n8:0 Write 4\n8:0 Total 7\n8:16 Read 1\nTotal 8\n")
    usage = group.usage()
    assert usage is not None
    assert (usage.disk_read_operations, usage.disk_write_operations) == (4, 4)


def _base(path: Path, controllers: str) -> Path:
    path.mkdir()
    (path / "cgroup.subtree_control").write_text(controllers)
    (path / "halage-x").mkdir()
    (path / "halage-x" / "cgroup.subtree_control").write_text(controllers)
    return path


def test_version_2_takes_the_first_place_that_has_all(tmp_path: Path) -> None:
    one, other = _base(tmp_path / "one", "cpu memory pids"), _base(tmp_path / "other", "cpu memory pids")
    found = find_version_2("halage-x", [one, other])
    assert found.parents == (one / "halage-x",)
    assert found.missing == {}


def test_a_place_that_is_not_delegated_is_said(tmp_path: Path) -> None:
    found = find_version_2("halage-x", [tmp_path / "none"])
    assert found.parents == ()
    assert set(found.missing) == {"cpu", "memory", "pids"}
    assert "No such file" in found.missing["cpu"]


def test_this_machine_either_enforces_or_says_why() -> None:
    found = find_cgroups("halage-test-look")
    try:
        assert found.parents or set(found.missing) == {"cpu", "memory", "pids"}
        assert all(found.missing.values())
    finally:
        found.retire()


def test_abilities_are_said_in_sentences() -> None:
    yes, no = Ability(True), Ability(False, "no bubblewrap")
    abilities = Abilities(yes, yes, yes, yes, no, yes)
    assert "Builds do not run in a sandbox: no bubblewrap." in abilities.sentences()
    assert "no bubblewrap" in (abilities.sandbox_warning or "")
    assert Abilities(yes, yes, yes, yes, yes, yes).sandbox_warning is None
