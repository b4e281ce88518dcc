"""The leader of a unit: a shell that runs the command, survives us and writes the exit code.

`sh` reads its script from a pipe. The unit's environment travels in that script and so appears in
no argument list, and a dynamic linker that we start as root never sees it. The script is one
compound command: when we die before all of it is written, the shell finds its end missing and runs
nothing. It is sent only after the record with the leader's identity is on the disk, so a command
that runs is always one that the next control plane finds.
"""

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import signal
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
cd /
umask 077
(
exec {redirections} 4>&-
{exports}
cd -- {directory} || exit {directory_failed}
unset OLDPWD
exec {command}
)
printf '%-15d\\n' "$?" >&4
exit 0
}}
"""

_DETACHED = "2>&1 </dev/null"
# A shell's descriptors have one digit. The leader holds these until its end, which is the output's.
_ATTACHED = "0<&5 1>&6 2>&7 5<&- 6>&- 7>&-"
_FIRST_END = 5
_ABOVE_ENDS = 10


@dataclass(frozen=True, slots=True)
class Spawned:
    """A leader that waits for its script. `script` is the end of the pipe that we write to."""

    pid: int
    script: int


def script_for(
    directory: str, environment: Mapping[str, str], command: Sequence[str], *, is_attached: bool = False
) -> bytes:
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
        redirections=_ATTACHED if is_attached else _DETACHED,
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


def spawn_attached(unit_id: str, account: Account | None, *, exit_file: int, ends: Sequence[int]) -> Spawned:
    """The same for a unit whose input and two outputs are `ends`. Raises StartFailed.

    Not by Popen, which gives a process three descriptors with numbers of our choice, and no more.
    """
    receiving, script = os.pipe()
    words = (*_as_account(account), _SHELL, "-s", unit_id)
    # Moved above the numbers that they are to have, so that none is overwritten before its turn.
    given = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, _ABOVE_ENDS) for each in (receiving, exit_file, *ends)]
    actions: list[tuple[int, ...]] = [
        (os.POSIX_SPAWN_DUP2, given[0], 0),
        (os.POSIX_SPAWN_DUP2, given[1], 1),
        (os.POSIX_SPAWN_DUP2, given[1], 2),
        *((os.POSIX_SPAWN_CLOSE, each) for each in _inheritable()),
        *((os.POSIX_SPAWN_DUP2, end, _FIRST_END + index) for index, end in enumerate(given[2:])),
    ]
    try:
        leader = os.posix_spawn(
            words[0],
            words,
            {UNIT_VARIABLE: unit_id, "PATH": _PATH},
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )
    except OSError as error:
        os.close(script)
        raise StartFailed(f"The process of unit {unit_id} could not be started: {error}.") from error
    finally:
        for handle in (receiving, *given):
            os.close(handle)
    return Spawned(leader, script)


def _inheritable() -> list[int]:
    """What somebody left open for us when we were started, which is not for units. Ours never are."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are all that is needed
        with contextlib.suppress(OSError):  # the one that listed them
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
    return found


def on_terminal(command: Sequence[str]) -> tuple[str, ...]:
    """The command as the leader of a session of its own, on the terminal that its input is."""
    setsid = shutil.which("setsid", path=_PATH)
    if setsid is None:
        raise StartFailed("`setsid` is missing (Debian's package util-linux): cannot open a terminal.")
    return (setsid, "--ctty", *command)


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
