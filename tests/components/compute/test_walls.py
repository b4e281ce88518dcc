"""What a unit may see and touch."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from halage.compute.drivers.process import ProcessDriver, ProcessSettings
from halage.compute.errors import StartFailed
from halage.compute.model import Sandbox, UnitSpec
from tests.components.compute.units import IS_ROOT, PROJECT_ACCOUNT, unit_of


@pytest.fixture
def more_groups() -> Iterator[None]:
    """Supplementary groups for this process, as a login gives them to root."""
    before = os.getgroups()
    os.setgroups([4, 27])
    yield
    os.setgroups(before)


async def _run(driver: ProcessDriver, unit: UnitSpec) -> tuple[int | None, str]:
    await driver.start(unit)
    exit_ = await driver.wait(unit.id)
    return exit_.code, (await driver.read(unit.id)).data.decode()


def _need_sandbox(driver: ProcessDriver) -> None:
    if not driver.abilities.sandbox:
        pytest.skip(driver.abilities.sandbox.reason)


async def test_the_environment_is_what_was_given(driver: ProcessDriver) -> None:
    odd = "two\nlines 'quoted' $(id) `id` \\ é"
    unit = unit_of("env -0", environment={"SECRET": odd})
    _, output = await _run(driver, unit)
    found = dict(item.split("=", 1) for item in output.split("\0") if item)
    assert found.pop("PWD") == "/"
    assert found == {**unit.environment, "HALAGE_UNIT": unit.id}


@pytest.mark.parametrize("sandboxed", [False, True])
async def test_secrets_are_in_no_argument_list(driver: ProcessDriver, sandboxed: bool) -> None:
    unit = unit_of(
        "exec sleep 60",
        environment={"SECRET": "correct-horse-9431"},
        sandbox=Sandbox({}) if sandboxed else None,
    )
    await driver.start(unit)
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert b"correct-horse-9431" not in arguments.read_bytes()
        except OSError:
            continue


@pytest.mark.skipif(not IS_ROOT, reason="accounts need root")
async def test_a_unit_runs_as_its_account_without_groups_or_our_descriptors(
    driver: ProcessDriver, more_groups: None
) -> None:
    assert PROJECT_ACCOUNT is not None
    code, output = await _run(
        driver,
        unit_of(
            "id -u; id -G; umask; ls /proc/self/fd | wc -l; "
            "sed -n 's/^Cap\\(Inh\\|Prm\\|Eff\\|Amb\\):\\s*//p' /proc/self/status"
        ),
    )
    uid, groups, umask, descriptors, *capabilities = output.split()
    assert uid == groups == str(PROJECT_ACCOUNT.uid)
    assert umask == "0077"
    assert descriptors == "4"  # 0, 1, 2 and the one that `ls` reads the directory with
    assert capabilities == ["0" * 16] * 4
    assert code == 0


@pytest.mark.skipif(not IS_ROOT, reason="accounts need root")
async def test_a_library_in_the_environment_is_not_loaded_as_root(driver: ProcessDriver) -> None:
    # The linker complains on stderr wherever it meets the variable; the leader must not.
    unit = unit_of("id -u", environment={"LD_PRELOAD": "/nonexistent/evil.so"})
    await driver.start(unit)
    await driver.wait(unit.id)
    leader_environment = {"HALAGE_UNIT", "PATH"}
    unit = unit_of("exec sleep 60", environment={"LD_PRELOAD": "/nonexistent/evil.so"})
    await driver.start(unit)
    environ = Path(f"/proc/{driver.process_id(unit.id)}/environ").read_bytes()
    assert {item.split(b"=")[0].decode() for item in environ.split(b"\0") if item} == leader_environment


@pytest.mark.skipif(not IS_ROOT, reason="accounts need root")
async def test_a_unit_cannot_read_the_records_of_units(driver: ProcessDriver, units: Path) -> None:
    unit = unit_of(f"ls {units}; cat {units}/$HALAGE_UNIT/unit.json {units}/$HALAGE_UNIT/exit")
    code, output = await _run(driver, unit)
    assert code != 0
    assert output.count("Permission denied") == 3


async def test_output_survives_those_who_open_stderr_anew(driver: ProcessDriver) -> None:
    _, output = await _run(driver, unit_of("echo first; echo second > /dev/stderr; echo third"))
    assert output.startswith("first\n")
    assert output.endswith("third\n")


async def test_a_directory_that_is_missing_is_said(driver: ProcessDriver) -> None:
    code, output = await _run(driver, unit_of("true", directory="/no/such place"))
    assert code == 126
    assert "/no/such place" in output


async def test_a_program_that_is_missing_is_said(driver: ProcessDriver) -> None:
    code, output = await _run(driver, replace(unit_of(""), command=("no-such-program",)))
    assert code == 127
    assert "no-such-program" in output


@pytest.mark.parametrize(
    "spoiled",
    [
        {"id": "../x"},
        {"id": ""},
        {"environment": {"A-B": "1"}},
        {"environment": {"A": "\0"}},
        {"command": ()},
    ],
    ids=str,
)
async def test_what_cannot_be_started_is_refused(
    driver: ProcessDriver, units: Path, spoiled: dict[str, object]
) -> None:
    with pytest.raises(StartFailed):
        await driver.start(replace(unit_of("true"), **spoiled))  # type: ignore[arg-type]
    assert list(units.iterdir()) == []


async def test_a_sandbox_shows_the_work_and_nothing_of_the_server(
    driver: ProcessDriver, units: Path, workspace: Path
) -> None:
    _need_sandbox(driver)
    secret = units.parent / "halage.db"
    secret.write_text("secret")
    secret.chmod(0o644)
    script = (
        f"cat {secret}; ls {units.parent}; touch /usr/x; touch /x; echo made > file; ls /srv; "
        "echo tmp > /tmp/t; echo home > $HOME/h; ps ax | wc -l; whoami; pwd; getent hosts localhost"
    )
    unit = unit_of(script, sandbox=Sandbox({"/checkout": workspace}), directory="/checkout")
    code, output = await _run(driver, unit)
    assert code == 0, output
    assert "secret" not in output
    assert output.count("No such file or directory") == 3
    assert "/usr/x" in output
    assert "Read-only file system" in output
    assert (workspace / "file").read_text() == "made\n"
    assert not Path("/tmp/t").exists()
    assert "/checkout\n" in output
    assert not Path("/x").exists()
    assert int(next(line for line in output.splitlines() if line.strip().isdigit())) < 8


async def test_what_is_readable_in_a_sandbox_is_not_writable(driver: ProcessDriver, workspace: Path) -> None:
    _need_sandbox(driver)
    (workspace / "file").write_text("there")
    (workspace / "file").chmod(0o644)
    sandbox = Sandbox({}, {"/given": workspace})
    _, output = await _run(driver, unit_of("cat /given/file; touch /given/new", sandbox=sandbox))
    assert output.startswith("there")
    assert not (workspace / "new").exists()


async def test_the_network_can_be_off(driver: ProcessDriver) -> None:
    _need_sandbox(driver)
    count = "grep -c : /proc/net/dev"
    _, with_network = await _run(driver, unit_of(count, sandbox=Sandbox({})))
    _, without = await _run(driver, unit_of(count, sandbox=Sandbox({}, network=False)))
    assert int(without) == 1
    assert int(with_network) > 1


async def test_without_bubblewrap_paths_are_translated_and_it_is_said(units: Path, workspace: Path) -> None:
    async with ProcessDriver(units, ProcessSettings(sandbox="plain")) as driver:
        assert driver.abilities.sandbox_warning is not None
        assert "No sandbox" in driver.abilities.sandbox_warning
        unit = unit_of(
            'pwd; echo $CACHE; echo $PATH; echo home > "$HOME/h"; echo tmp > "$TMPDIR/t"; echo made > file',
            sandbox=Sandbox({"/checkout": workspace, "/checkout/cache": workspace / "c"}),
            directory="/checkout",
            environment={
                "CACHE": "/checkout/cache/pip",
                "PATH": "/checkout/bin:/usr/bin:/bin:/checkouts",
                "HOME": "/home",
            },
        )
        code, output = await _run(driver, unit)
        assert code == 0, output
        assert output.splitlines() == [
            str(workspace),
            f"{workspace}/c/pip",
            f"{workspace}/bin:/usr/bin:/bin:/checkouts",
        ]
        assert (workspace / "file").exists()
        assert not Path("/home/h").exists()
        await driver.remove(unit.id)


async def test_where_a_sandbox_is_a_must_nothing_starts_without(units: Path) -> None:
    path = os.environ["PATH"]
    os.environ["PATH"] = "/nonexistent"
    try:
        async with ProcessDriver(units, ProcessSettings(sandbox="bubblewrap")) as driver:
            assert not driver.abilities.sandbox
            with pytest.raises(StartFailed, match="sandbox"):
                await driver.start(unit_of("true", sandbox=Sandbox({})))
    finally:
        os.environ["PATH"] = path
