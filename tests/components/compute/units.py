"""Units for tests: short ways to say what to run."""

import itertools
import os
from pathlib import Path

from halage.compute.model import MIB, Account, Limits, Sandbox, UnitSpec

IS_ROOT = os.geteuid() == 0
PROJECT_ACCOUNT = Account(200_777, 200_777) if IS_ROOT else None
LIMITS = Limits(cpu=1.0, memory_bytes=256 * MIB)
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}

_numbers = itertools.count(1)


def unit_of(
    script: str,
    *,
    account: Account | None = PROJECT_ACCOUNT,
    limits: Limits = LIMITS,
    sandbox: Sandbox | None = None,
    directory: str = "/",
    environment: dict[str, str] | None = None,
) -> UnitSpec:
    """A unit that runs a shell script under the project's account."""
    return UnitSpec(
        id=f"t{os.getpid()}-{next(_numbers)}",
        command=("sh", "-c", script),
        directory=directory,
        environment={**ENVIRONMENT, **(environment or {})},
        limits=limits,
        account=account,
        sandbox=sandbox,
    )


def processes_with(text: str) -> list[int]:
    """Living processes that have the text in their arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if text.encode() in arguments and state not in "ZX":
            found.append(int(entry.name))
    return found
