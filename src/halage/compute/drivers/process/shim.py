"""The leader of a unit: a shell that runs the command, survives us and writes the exit code.

`sh` reads its script from a pipe. The unit's environment travels in that script and so appears in
no argument list, and a dynamic linker that we start as root never sees it. The script is one
compound command: when we die before all of it is written, the shell finds its end missing and runs
nothing. It is sent only after the record with the leader's identity is on the disk, so a command
that runs is always one that the next control plane finds.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from halage.compute.errors import StartFailed
from halage.compute.model import Account

UNIT_VARIABLE = "HALAGE_UNIT"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DIRECTORY_FAILED = 126
_SHELL = "/bin/sh"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The leader catches the signals that its unit is sent, so that it outlives the command and can
# write the code; a caught signal (unlike an ignored one) has its default again in the command.
# The code goes to descriptor 4, over blanks of the same length. The leader keeps no output open.
_SCRIPT = """{{
trap : HUP INT QUIT TERM USR1 USR2 ALRM
exec 4>&2 2>/dev/null
(
exec 2>&1 4>&- </dev/null
{exports}
cd -- {directory} || exit {directory_failed}
unset OLDPWD
exec {command}
)
printf '%-15d\\n' "$?" >&4
exit 0
}}
"""


@dataclass(frozen=True, slots=True)
class Spawned:
    """A leader that waits for its script. `script` is the end of the pipe that we write to."""

    pid: int
    script: int


def script_for(directory: str, environment: Mapping[str, str], command: Sequence[str]) -> bytes:
    """The leader's script. Raises StartFailed for what no shell can pass on."""
    if not command:
        raise StartFailed("There is no command to run.")
    for name, value in environment.items():
        if not _NAME.fullmatch(name):
            raise StartFailed(
                f"The variable name {name!r} cannot be used: letters, digits and _ only.", variable=name
            )
        if "\0" in value:
            raise StartFailed(f"The value of {name} holds a NUL byte.", variable=name)
    if any("\0" in word for word in (directory, *command)):
        raise StartFailed("The command or its directory holds a NUL byte.")
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items())
    script = _SCRIPT.format(
        exports=exports,
        directory=shlex.quote(directory),
        directory_failed=_DIRECTORY_FAILED,
        command=shlex.join(command),
    )
    return os.fsencode(script)


def spawn(unit_id: str, account: Account | None, *, output: int, exit_file: int) -> Spawned:
    """Start the leader in a session of its own. Raises StartFailed."""
    receiving, script = os.pipe()
    try:
        leader = subprocess.Popen(
            (*_as_account(account), _SHELL, "-s", unit_id),
            stdin=receiving,
            stdout=output,
            stderr=exit_file,
            env={UNIT_VARIABLE: unit_id, "PATH": _PATH},
            cwd="/",
            start_new_session=True,
            umask=0o077,
        )
    except OSError as error:
        os.close(script)
        raise StartFailed(f"The process of unit {unit_id} could not be started: {error}.") from error
    finally:
        os.close(receiving)
    # It is watched and reaped by its pidfd; Popen must not warn that nobody waits for it.
    leader.returncode = 0
    return Spawned(leader.pid, script)


def send_script(leader: Spawned, script: bytes) -> None:
    """Hand the leader its script: from here on the command runs. Raises OSError when it is gone."""
    with os.fdopen(leader.script, "wb") as pipe:
        pipe.write(script)


def _as_account(account: Account | None) -> tuple[str, ...]:
    # Not Popen's user=: it makes Python fork instead of vfork, 7 ms instead of 0.3 for 150 MiB.
    if account is None or account.uid == os.geteuid():
        return ()
    setpriv = shutil.which("setpriv", path=_PATH)
    if setpriv is None:
        raise StartFailed("`setpriv` is missing (Debian's package util-linux): cannot change the account.")
    return (
        setpriv,
        f"--reuid={account.uid}",
        f"--regid={account.gid}",
        "--clear-groups",
        "--inh-caps=-all",
        "--",
    )
