"""HAProxy's processes: started in a session of their own, found again, watched to their end."""

import asyncio
import contextlib
import errno
import grp
import os
import pwd
import select
import shutil
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from halage.balancer.drivers.haproxy.configuration import CONFIGURATION, MASTER_SOCKET
from halage.balancer.errors import BalancerRefused

ACCESS_LOG = "access.log"
PROCESS_LOG = "haproxy.log"
END_WITHIN_S = 5.0
CHECK_WITHIN_S = 30.0


def find_program() -> str:
    """The path of haproxy. Raises BalancerRefused with what to install."""
    path = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise BalancerRefused("HAProxy is not installed: run `apt install haproxy` (2.6 or later)")
    return path


def find_account() -> tuple[str, str] | None:
    """The user and group that HAProxy drops to; None when we are not root and it cannot."""
    if os.geteuid() != 0:
        return None
    for name in ("haproxy", "nobody"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            return name, grp.getgrgid(account.pw_gid).gr_name
    return None


def find_door_problem(host: str, port: int) -> str | None:
    """Why HAProxy could not listen there; None when it could."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((host, port))
            door.listen()
        except OSError as error:
            advice = low_port_advice(port, error.errno)
            return f"nobody can come by HTTPS on {host}:{port}: {error.strerror}{advice}"
    return None


def low_port_advice(port: int, number: int | None) -> str:
    """What to do about a port that ordinary users may not listen on; empty for any other trouble."""
    if number not in (errno.EACCES, errno.EPERM) or port >= 1024:
        return ""
    return (
        ". Ports below 1024 need root, or `sysctl net.ipv4.ip_unprivileged_port_start="
        f"{port}` run by root once"
    )


@dataclass(frozen=True, slots=True)
class Process:
    """A master process. The descriptor stays true to it when its number is used again."""

    pid: int
    pidfd: int

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    async def wait(self) -> None:
        """Return as soon as it has ended."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def take_note() -> None:
            if not ended.done():
                ended.set_result(None)

        # A second waiter on the same descriptor would replace the first: each has its own.
        handle = os.dup(self.pidfd)
        loop.add_reader(handle, take_note)
        try:
            await ended
        finally:
            loop.remove_reader(handle)
            os.close(handle)
        self._reap()

    def _reap(self) -> None:
        # An adopted one is no child of ours.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)

    def has_ended(self) -> bool:
        """Whether it has ended."""
        return bool(select.select([self.pidfd], [], [], 0)[0])

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.pidfd)


def start_process(program: str, directory: Path) -> Process:
    """A new HAProxy, which outlives us, with its logs in files of the directory."""
    create = os.O_WRONLY | os.O_CREAT
    access_log = os.open(directory / ACCESS_LOG, create, 0o600)
    try:
        # HAProxy switches O_APPEND off on its standard output; all its workers share this offset.
        os.lseek(access_log, 0, os.SEEK_END)
        pid = os.posix_spawn(
            program,
            _command(program, directory),
            {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, access_log, 1),
                (os.POSIX_SPAWN_OPEN, 2, str(directory / PROCESS_LOG), create | os.O_APPEND, 0o600),
            ],
            setsid=True,
        )
    finally:
        os.close(access_log)
    return Process(pid, os.pidfd_open(pid))


def find_process(directory: Path) -> Process | None:
    """The HAProxy that an earlier driver started in this directory."""
    processes = _find_pids(directory)
    for pid, parent in processes.items():
        if parent in processes:
            continue
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(pid)
            # Its number may have passed to another between the look and the descriptor.
            if _is_ours(pid, directory):
                return Process(pid, pidfd)
            os.close(pidfd)
    return None


async def end_leftovers(directory: Path) -> None:
    """End workers without a master: they would hold the port."""
    for pid in _find_pids(directory):
        with contextlib.suppress(ProcessLookupError):
            process = Process(pid, os.pidfd_open(pid))
            try:
                if _is_ours(pid, directory):
                    process.signal(signal.SIGKILL)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(END_WITHIN_S):
                            await process.wait()
            finally:
                process.close()


async def check_configuration(program: str, directory: Path, name: str) -> str | None:
    """What `haproxy -c` says against a file of the directory; None when it is fine."""
    process = await asyncio.create_subprocess_exec(
        program,
        *("-c", "-q", "-C", str(directory), "-f", name),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(CHECK_WITHIN_S):
            output, _ = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode == 0:
        return None
    return _alerts(output.decode(errors="replace"))


def read_complaint(directory: Path, offset: int) -> str:
    """What HAProxy wrote to its process log from an offset on, its alerts first."""
    with contextlib.suppress(OSError), (directory / PROCESS_LOG).open("rb") as file:
        file.seek(offset)
        return _alerts(file.read(65536).decode(errors="replace"))
    return ""


def _alerts(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    alerts = [line.partition(" : ")[2] or line for line in lines if line.startswith("[ALERT]")]
    return "; ".join((alerts or lines)[:5])


def _command(program: str, directory: Path) -> list[str]:
    # -C with the directory tells our HAProxy from every other; paths in the file stay short.
    return [program, "-W", "-S", f"unix@{MASTER_SOCKET},mode,600", "-C", str(directory), "-f", CONFIGURATION]


def _find_pids(directory: Path) -> dict[int, int]:
    """Process id to parent of every HAProxy of the directory."""
    found = {}
    for entry in (path.name for path in Path("/proc").iterdir()):
        if entry.isdigit() and _is_ours(int(entry), directory):
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
                if status[0] != "Z":
                    found[int(entry)] = int(status[1])
    return found


def _is_ours(pid: int, directory: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    if not words or not words[0].endswith(b"haproxy") or b"-W" not in words:
        return False
    mine = any(words[at : at + 2] == [b"-C", os.fsencode(directory)] for at in range(len(words)))
    return mine and _user_of(pid) in _users()


def _user_of(pid: int) -> int | None:
    # Not the owner of /proc/PID: that is root for any process that asks not to be dumped.
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Uid:")).split()[1])
    return None


def _users() -> set[int]:
    """Who a HAProxy of ours runs as: a site could dress its process up as one."""
    account = find_account()
    return {os.geteuid()} | ({pwd.getpwnam(account[0]).pw_uid} if account else set())
