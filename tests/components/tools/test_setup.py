"""tools/setup on a machine that lacks something: it says what, why, and what to do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[3] / "tools" / "setup"
HIDE_HAPROXY = "mount --bind /dev/null $(PATH=$PATH:/usr/sbin command -v haproxy)"
NOBODY = "setpriv --reuid 65534 --regid 65534 --clear-groups "


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The script where anybody may run it."""
    if os.geteuid() != 0:
        pytest.skip("hiding a program from the script needs root")
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o755)
    copy = tmp_path / "tools" / "setup"
    copy.parent.mkdir()
    shutil.copy(SETUP, copy)
    return copy


def _run(*commands: str) -> tuple[int, str]:
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", "; ".join(commands)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def test_where_everything_is_there_it_says_nothing(copy: Path) -> None:
    assert _run(f"{copy} run") == (0, "")


def test_without_root_it_says_which_package_needs_it_and_why(copy: Path) -> None:
    code, said = _run(HIDE_HAPROXY, f"{NOBODY}{copy} run")
    assert code == 1
    assert "installing them with apt needs root:\n    haproxy: the balancer in front of the sites\n" in said
    assert "sudo apt-get update && sudo apt-get install -y --no-install-recommends haproxy\n" in said


def test_on_another_system_it_says_what_to_install(copy: Path, tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    release.write_text("ID=fedora\n")
    code, said = _run(HIDE_HAPROXY, f"mount --bind {release} /etc/os-release", f"{copy} run")
    assert code == 1
    assert "neither Debian nor Ubuntu" in said
    assert said.endswith("    haproxy: the balancer in front of the sites\n")
    assert "apt" not in said.replace("neither Debian nor Ubuntu", "")


def test_a_group_that_does_not_exist_is_named(copy: Path) -> None:
    code, said = _run(f"{copy} everything")
    assert (code, said) == (2, "setup: no group 'everything': there are run, test and python\n")
