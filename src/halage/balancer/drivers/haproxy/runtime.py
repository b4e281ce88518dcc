"""HAProxy's runtime socket: questions, answers, and the commands that lead from one to the other."""

import asyncio
import csv
import io
import operator
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from halage.balancer.drivers.haproxy.configuration import authority, list_servers
from halage.balancer.drivers.haproxy.layout import Placed
from halage.balancer.errors import BalancerDown
from halage.balancer.model import Route

ANSWER_WITHIN_S = 3.0
SERVERS = "show stat -1 6 -1"
"""Figures of all servers, and of all backends."""
COLUMNS = (
    *("pxname", "svname", "status", "check_status", "check_code", "check_duration", "chkfail"),
    *("scur", "stot", "req_tot", "qcur", "bin", "bout", "connect", "wretr", "hrsp_5xx"),
)
"""The columns of `show stat` that Halage reads."""

_POOL = "pool-purge-delay 5s pool-max-conn -1"
"""HAProxy's own defaults, which a dynamic server does not get (2.6).

Without both, no connection to it is used a second time: a quarter of the requests/s.
"""

_LINE_BYTES = 8000
"""HAProxy takes a line of at most its buffer, 16 KiB."""


async def connect(
    directory: Path, name: str, *, limit: int = 65536
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to a socket of the directory. Raises OSError."""
    # A socket's path holds 107 bytes at most, so go through the directory's descriptor.
    handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{handle}/{name}", limit=limit)
    finally:
        os.close(handle)


class RuntimeSocket:
    """One of HAProxy's sockets; each question opens a connection of its own."""

    def __init__(self, directory: Path, name: str) -> None:
        """Talk to the socket `name` in `directory`."""
        self._directory = directory
        self._name = name

    async def ask(self, command: str) -> str:
        """The answer to a command (or several, joined by `;`). Raises BalancerDown."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._ask(command)
        except (OSError, TimeoutError) as error:
            raise BalancerDown(
                f"HAProxy does not answer on {self._directory / self._name} ({error}): try again in a second"
            ) from error

    async def _ask(self, command: str) -> str:
        reader, writer = await connect(self._directory, self._name)
        try:
            writer.write(f"{command}\n".encode())
            answer = await reader.read()
        finally:
            writer.close()
        if not answer:
            raise ConnectionResetError("it closed the connection without an answer")
        return answer.decode(errors="replace")

    async def order(self, commands: Iterable[str]) -> str:
        """Send commands in as few lines as they fit in; what HAProxy answered, without blank lines."""
        answers = [await self.ask(line) for line in _lines(commands)]
        return "\n".join(line for answer in answers for line in answer.splitlines() if line.strip())


def _lines(commands: Iterable[str]) -> Iterable[str]:
    line = ""
    for command in commands:
        if line and len(line) + len(command) > _LINE_BYTES:
            yield line
            line = ""
        line = f"{line};{command}" if line else command
    if line:
        yield line


@dataclass(frozen=True, slots=True)
class Server:
    """A server as HAProxy has it now."""

    address: str
    port: int
    weight: int
    is_off: bool
    is_draining: bool


_FORCED_OFF, _FORCED_DRAIN = 0x01, 0x08
"""Bits of srv_admin_state, from HAProxy's management guide (`show servers state`).

0x04 only remembers that the file says `disabled`; what counts is 0x01, set beside it at the start.
"""


def read_servers(answer: str) -> dict[str, dict[str, Server]]:
    """`show servers state` as slot to server name to server."""
    rows = [line for line in answer.splitlines() if " " in line]
    if not rows or not rows[0].startswith("# "):
        return {}
    columns = rows[0][2:].split()
    servers: dict[str, dict[str, Server]] = {}
    for row in rows[1:]:
        values = dict(zip(columns, row.split(), strict=False))
        admin = int(values["srv_admin_state"])
        servers.setdefault(values["be_name"], {})[values["srv_name"]] = Server(
            values["srv_addr"],
            int(values["srv_port"]),
            int(values["srv_uweight"]),
            bool(admin & _FORCED_OFF),
            bool(admin & _FORCED_DRAIN),
        )
    return servers


def read_map(answer: str) -> dict[str, str]:
    """`show map FILE` as key to value."""
    rows = (line.split(" ", 2) for line in answer.splitlines())
    return {row[1]: row[2] for row in rows if len(row) == 3 and row[0].startswith("0x")}


def read_statistics(answer: str) -> list[dict[str, str]]:
    """`show stat` as a row for each thing, with the columns that Halage reads."""
    table = answer[answer.find("# ") + 2 :] if "# " in answer else ""
    table = table.partition("\n\n")[0]
    rows = csv.reader(io.StringIO(table.strip()))
    columns = {name: place for place, name in enumerate(next(rows, []))}
    names = [name for name in COLUMNS if name in columns]
    if len(names) < 2:
        return []
    # A thousand servers are asked about every few seconds, and each has a hundred columns.
    chosen = operator.itemgetter(*(columns[name] for name in names))
    return [dict(zip(names, chosen(row), strict=True)) for row in rows if len(row) >= len(columns) - 1]


def map_commands(name: str, wanted: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    """Commands that bring a map to what is wanted."""
    commands = []
    for key, value in wanted.items():
        if key not in present:
            commands.append(f"add map {name} {key} {value}")
        elif present[key] != value:
            commands.append(f"set map {name} {key} {value}")
    return commands + [f"del map {name} {key}" for key in present if key not in wanted]


def server_commands(
    slot: str, wanted: Mapping[str, Placed], present: Mapping[str, Server], route: Route
) -> list[str]:
    """Commands that bring a slot's servers to what is wanted, without those that take servers away."""
    commands = []
    for name, listed in list_servers(route, wanted).items():
        server, target = f"{slot}/{name}", listed.placed.target
        state = "drain" if listed.placed.is_draining else "ready"
        if name not in present:
            # A dynamic server starts switched off, its check too; once ready it is up until a check fails.
            commands += [
                f"add server {server} {authority(target.address, target.port)} "
                f"{listed.parameters} weight {target.weight} {_POOL}",
                *([f"enable health {server}"] if listed.is_checked else []),
                f"set server {server} state {state}",
                # Not from the beginning: leastconn (2.6) takes in by and by who gets requests past it,
                # unless it had it once.
                *([f"set server {server} weight 0"] if listed.placed.weight == 0 else []),
            ]
            continue
        commands += _correction(server, listed.placed, present[name])
        if present[name].is_off or present[name].is_draining != listed.placed.is_draining:
            commands.append(f"set server {server} state {state}")
    return commands


def _correction(server: str, placed: Placed, present: Server) -> list[str]:
    commands, target = [], placed.target
    if (present.address, present.port) != (target.address, target.port):
        commands.append(f"set server {server} addr {target.address} port {target.port}")
    if present.weight != placed.weight:
        commands.append(f"set server {server} weight {placed.weight}")
    return commands


def removal_commands(slot: str, wanted: Iterable[str], present: Mapping[str, Server]) -> list[str]:
    """Commands that take away servers that are not wanted. `del server` is refused while one is in use."""
    kept = frozenset(wanted)
    commands = []
    for name in present:
        if name not in kept:
            server = f"{slot}/{name}"
            commands += [
                f"set server {server} state maint",
                f"shutdown sessions server {server}",
                f"del server {server}",
            ]
    return commands


def read_certificate_list(answer: str) -> dict[str, tuple[str, ...]]:
    """`show ssl crt-list LIST` as certificate's file to the host names that it is shown to."""
    rows = [line.split() for line in answer.splitlines() if line.strip() and not line.startswith("#")]
    return {row[0].partition(":")[0]: tuple(row[1:]) for row in rows if row[0].startswith("certificate-")}
