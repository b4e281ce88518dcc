"""The wall around a build: bubblewrap's argument list, and what is done where it does not work.

Behind the wall the command sees the system's directories read-only, the host directories that were
handed in, and a private /tmp and /home; not the server's data, not other processes. It starts as
the unit's account, which makes a user namespace of its own, so root never runs bubblewrap. The
environment is passed on as it is: it appears in no argument list. Bubblewrap dies with the unit's
leader, not with the control plane.

Without bubblewrap the command runs in the same host directories, unhidden: `directory`, and each
word of the command and each part of a variable that is or lies below a path of the sandbox, is
translated to its host path. Text that merely mentions such a path, as in a script, is not.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from halage.compute.abilities import Ability
from halage.compute.drivers.process.record import UnitDirectory
from halage.compute.errors import StartFailed
from halage.compute.model import Account, Sandbox, UnitSpec

HOME = "/home"
TMP = "/tmp"  # noqa: S108 - the private one, inside the sandbox
_TOP_DIRECTORIES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SYSTEM = ("/usr", "/etc", "/opt", "/nix")
_PROBE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Walled:
    """What the leader is to run, in terms of the host."""

    command: tuple[str, ...]
    directory: str
    environment: Mapping[str, str]


class Bubblewrap:
    """Wraps commands of units into bubblewrap."""

    def __init__(self, program: str, hidden: Iterable[Path]) -> None:
        """Use this `bwrap`; `hidden` directories are not seen even where the system's hold them."""
        self._program = program
        self._hidden = tuple(hidden)

    def wrap(self, spec: UnitSpec, sandbox: Sandbox, files: UnitDirectory) -> Walled:
        """The command behind the wall."""
        make_private_directories(files, spec.account)
        passwd = _write_passwd(files, spec.account)
        command = (
            self._program,
            *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
            *(() if sandbox.network else ("--unshare-net",)),
            *("--die-with-parent", "--cap-drop", "ALL"),
            *_system_mounts(self._hidden),
            *("--ro-bind", str(passwd), "/etc/passwd"),
            *("--proc", "/proc", "--dev", "/dev", "--dir", "/run", "--dir", "/var"),
            *("--bind", str(files.private / "tmp"), TMP, "--symlink", "../tmp", "/var/tmp"),  # noqa: S108
            *("--bind", str(files.private / "home"), HOME),
            *_mounts(sandbox),
            *("--chdir", spec.directory, "--"),
            *spec.command,
        )
        return Walled(command, "/", environment_of(spec))


def environment_of(spec: UnitSpec) -> dict[str, str]:
    """The unit's environment, with the private home and /tmp where it names no others."""
    return {"HOME": HOME, "TMPDIR": TMP, **spec.environment}


def unwalled(spec: UnitSpec, sandbox: Sandbox, files: UnitDirectory) -> Walled:
    """The command on the host's paths, where there is no wall."""
    make_private_directories(files, spec.account)
    paths = {
        HOME: files.private / "home",
        TMP: files.private / "tmp",
        **sandbox.readable,
        **sandbox.writable,
    }
    return Walled(
        tuple(_translate(word, paths) for word in spec.command),
        _translate(spec.directory, paths),
        {
            name: ":".join(_translate(part, paths) for part in value.split(":"))
            for name, value in environment_of(spec).items()
        },
    )


def make_private_directories(files: UnitDirectory, account: Account | None) -> None:
    """Make the unit's own home and /tmp. Raises OSError."""
    for path in (files.private, files.private / "tmp", files.private / "home"):
        path.mkdir(mode=0o700)
        if account is not None and os.geteuid() == 0:
            os.chown(path, account.uid, account.gid)


def find_bubblewrap(account: Account | None, hidden: Iterable[Path]) -> tuple[Bubblewrap | None, Ability]:
    """Bubblewrap if it works for that account, tried out; else why not. Takes a few milliseconds."""
    program = shutil.which("bwrap")
    if program is None:
        return None, Ability(False, "bubblewrap is not installed")
    hidden = tuple(hidden)
    command = (
        program,
        "--unshare-pid",
        "--unshare-net",
        *_system_mounts(()),
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    )
    drop = () if account is None else _setpriv(account)
    try:
        tried = subprocess.run(
            (*drop, *command, "--", "/bin/sh", "-c", ":"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            env={"PATH": "/usr/bin:/bin"},
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, Ability(False, f"bubblewrap could not be tried: {error}")
    if tried.returncode != 0:
        reason = tried.stderr.strip().splitlines()[-1:] or [f"exit code {tried.returncode}"]
        return None, Ability(False, f"bubblewrap does not work here ({reason[0]})")
    return Bubblewrap(program, hidden), Ability(True)


def _setpriv(account: Account) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--")


def _system_mounts(hidden: Iterable[Path]) -> list[str]:
    arguments: list[str] = []
    for directory in _SYSTEM:
        arguments += ["--ro-bind-try", directory, directory]
    for name in _TOP_DIRECTORIES:
        path = Path("/", name)
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    arguments += _resolver()
    arguments += ["--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu"]
    for path in hidden:
        if any(path.is_relative_to(directory) for directory in _SYSTEM) and path.is_dir():
            arguments += ["--tmpfs", str(path)]
    return arguments


def _resolver() -> list[str]:
    """Mounts for a /etc/resolv.conf that is a link out of /etc, as systemd-resolved makes it."""
    target = Path("/etc/resolv.conf").resolve()
    if target.is_relative_to("/etc") or not target.is_file():
        return []
    return ["--ro-bind", str(target), str(target)]


def _mounts(sandbox: Sandbox) -> list[str]:
    mounts = [(path, "--ro-bind", host) for path, host in sandbox.readable.items()]
    mounts += [(path, "--bind", host) for path, host in sandbox.writable.items()]
    # Outer ones first, or they would cover what is mounted inside them.
    ordered = sorted(mounts, key=lambda mount: len(Path(mount[0]).parts))
    return [word for path, kind, host in ordered for word in (kind, str(host), path)]


def _write_passwd(files: UnitDirectory, account: Account | None) -> Path:
    """A passwd file that knows the account: some programs refuse to run as a nameless number."""
    uid = os.geteuid() if account is None else account.uid
    gid = os.getegid() if account is None else account.gid
    lines = ["root:x:0:0:root:/root:/bin/sh", "nobody:x:65534:65534:nobody:/nonexistent:/bin/false"]
    if uid != 0:
        lines.append(f"halage:x:{uid}:{gid}:Halage:{HOME}:/bin/sh")
    path = files.path / "passwd"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o644)
    return path


def _translate(text: str, paths: Mapping[str, Path]) -> str:
    for inside in sorted(paths, key=len, reverse=True):
        root = inside.rstrip("/")
        if text == root or text.startswith(root + "/"):
            return str(paths[inside]) + text[len(root) :]
    return text


def sandboxing_refused(unit_id: str, reason: str) -> StartFailed:
    """The error for a unit that must have a sandbox where there is none."""
    return StartFailed(
        f"Unit {unit_id} was not started: the settings ask for a sandbox, and {reason}.", unit=unit_id
    )
