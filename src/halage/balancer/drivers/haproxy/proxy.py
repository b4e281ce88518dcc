"""One HAProxy, through its reloads: started, reloaded, asked, brought to a layout, ended."""

import asyncio
import contextlib
import copy
import errno
import signal
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from halage.balancer.drivers.haproxy import record
from halage.balancer.drivers.haproxy.configuration import (
    CERTIFICATES,
    CONFIGURATION,
    HOSTS_MAP,
    SERVERS_STATE,
    TARGET_MAPS,
    Place,
    admin_socket,
    certificate_hosts,
    list_servers,
    narrowed,
    render_certificates,
    render_configuration,
    render_files,
    render_maps,
)
from halage.balancer.drivers.haproxy.figures import Figures, Key, read_counters
from halage.balancer.drivers.haproxy.former import FormerWorkers, Line
from halage.balancer.drivers.haproxy.layout import FORM, Layout, certificate_name
from halage.balancer.drivers.haproxy.process import (
    END_WITHIN_S,
    PROCESS_LOG,
    Process,
    check_configuration,
    end_leftovers,
    find_process,
    find_program,
    low_port_advice,
    read_complaint,
    start_process,
)
from halage.balancer.drivers.haproxy.runtime import (
    SERVERS,
    RuntimeSocket,
    Server,
    map_commands,
    read_certificate_list,
    read_map,
    read_servers,
    read_statistics,
    removal_commands,
    server_commands,
)
from halage.balancer.drivers.haproxy.statuses import routes_of, statuses_of
from halage.balancer.errors import BalancerDown, BalancerRefused
from halage.balancer.model import BalancerFigures, TargetStatus
from halage.base.files import write_atomically

log = structlog.get_logger()

READY_WITHIN_S = 20.0
_LOOK_EVERY_S = 0.005
_DEATH_WITHIN_S = 1.0


class Proxy:
    """The HAProxy of a directory. Its changing methods must not run beside each other."""

    def __init__(self, directory: Path, place: Place) -> None:
        """Work in `directory`."""
        self._directory = directory
        self._place = place
        self._process: Process | None = None
        self._socket: RuntimeSocket | None = None
        self._generation = 0
        self.figures = Figures()
        self.former = FormerWorkers()

    @property
    def is_running(self) -> bool:
        """Whether there is a process that has not been seen to end."""
        return self._process is not None

    def answers_for(self, layout: Layout) -> bool:
        """Whether it runs the configuration of the layout's generation."""
        return self._generation == layout.generation

    def is_up_to_date(self, layout: Layout) -> bool:
        """Whether the layout's generation is of this form and listens where it shall."""
        return layout.form == FORM and layout.doors in ("", self._place.doors)

    async def adopt(self) -> bool:
        """Take over the HAProxy that runs in the directory, if there is one that answers."""
        process = find_process(self._directory)
        if process is None:
            return False
        for generation in self._generations():
            socket = RuntimeSocket(self._directory, admin_socket(generation))
            with contextlib.suppress(BalancerDown):
                await socket.ask("show info")
                self._process, self._socket, self._generation = process, socket, generation
                return True
        process.close()
        return False

    async def start(self, layout: Layout) -> Layout:
        """Start HAProxy from the layout; the layout with its new generation.

        Raises BalancerRefused with HAProxy's reason.
        """
        await end_leftovers(self._directory)
        self.former.close()
        self.figures.turn_over()
        layout = replace(layout, generation=layout.generation + 1, form=FORM, doors=self._place.doors)
        (self._directory / SERVERS_STATE).unlink(missing_ok=True)
        self._clear_sockets(keep=-1)
        self._write(layout)
        program = find_program()
        offset = self._log_size()
        process = start_process(program, self._directory)
        try:
            socket = await self._wait_ready(layout.generation, process)
        except BaseException:
            process.signal(signal.SIGKILL)
            await process.wait()
            process.close()
            raise
        if socket is None:
            process.close()
            raise BalancerRefused(self._explain(read_complaint(self._directory, offset)))
        self._process, self._socket, self._generation = process, socket, layout.generation
        log.info("balancer started", action="balancer:Start", subject=str(self._directory), pid=process.pid)
        return layout

    async def reload(self, layout: Layout) -> Layout:
        """Load the layout without losing a request; the layout with its new generation.

        Raises BalancerRefused, and then what ran before runs on.
        """
        process, socket = self._process, self._socket
        assert process is not None and socket is not None, "reload of a balancer that does not run"
        layout = replace(layout, generation=layout.generation + 1, form=FORM, doors=self._place.doors)
        if (problem := await self.find_problem(layout)) is not None:
            raise BalancerRefused(f"HAProxy refuses its new configuration: {problem}")
        line = await Line.open(self._directory, admin_socket(self._generation))
        try:
            ready = await self._exchange(layout, process, socket)
            if not await line.until_closed():
                log.warning("former worker goes on", action="balancer:Reload", subject=str(self._directory))
        except BaseException:
            line.close()
            raise
        self.former.take(self._generation, line)
        self._socket, self._generation = ready, layout.generation
        self._clear_sockets(keep=layout.generation)
        await self.converge(layout, None)
        return layout

    async def _exchange(self, layout: Layout, process: Process, socket: RuntimeSocket) -> RuntimeSocket:
        servers = await socket.ask("show servers state")
        write_atomically(self._directory / SERVERS_STATE, servers, mode=0o600, durable=False)
        self.figures.observe(read_counters(read_statistics(await socket.ask(SERVERS))))
        figures = copy.deepcopy(self.figures)
        self.figures.turn_over(self._generation)
        self._write(layout)
        offset = self._log_size()
        process.signal(signal.SIGUSR2)
        ready = await self._wait_ready(layout.generation, process)
        if ready is None:
            self.figures = figures
            raise BalancerRefused(self._explain(read_complaint(self._directory, offset)))
        return ready

    async def converge(self, layout: Layout, route: str | None) -> bool:
        """Bring HAProxy to the layout (or a route's part); whether servers are left to take away.

        Raises BalancerDown, BalancerRefused.
        """
        answer = await self._bring_servers(layout, route)
        present = await self._servers(layout, route)
        slots = self._slots(layout, route)
        if open_commands := _commands(layout, slots, present):
            raise BalancerRefused(f"HAProxy refused {open_commands[0]!r}: {answer}")
        return bool(_removals(layout, slots, present))

    async def take_leftovers_away(self, layout: Layout) -> bool:
        """Try again to delete servers that are not wanted; whether some are left."""
        present = await self._servers(layout, None)
        commands = _removals(layout, layout.slots, present)
        if not commands:
            return False
        await self._ask_socket().order(commands)
        return bool(_removals(layout, layout.slots, await self._servers(layout, None)))

    async def status(self, layout: Layout, route: str | None) -> list[TargetStatus]:
        """Every target (of one route) with its state and figures."""
        command = SERVERS if route not in layout.places else f"show stat {layout.places[route or '']} 4 -1"
        rows, finishing = await self._look(command)
        return statuses_of(layout, route, rows, finishing, self.figures)

    async def look(self, layout: Layout) -> BalancerFigures:
        """Every target and every route with its figures."""
        rows, finishing = await self._look(SERVERS)
        return BalancerFigures(
            statuses_of(layout, None, rows, finishing, self.figures),
            routes_of(layout, rows, finishing, self.figures),
        )

    async def _look(self, command: str) -> tuple[list[dict[str, str]], dict[Key, int]]:
        """Rows of statistics, and what former workers have under way; the figures take the counters."""
        rows = read_statistics(await self._ask_socket().ask(command))
        finishing = await self.former.look(self.figures)
        self.figures.observe({**self.figures.present, **read_counters(rows)})
        return rows, finishing

    async def find_problem(self, layout: Layout, route: str | None = None) -> str | None:
        """Why HAProxy would not load the layout (or one route alone); None when it would."""
        candidate = f".{CONFIGURATION}.candidate"
        part = narrowed(layout, route) if route else layout
        place = replace(self._place, certificates=f".{CERTIFICATES}.candidate")
        self._write_file(candidate, render_configuration(part, place))
        for name, text in render_certificates(part, place).items():
            self._write_file(name, text)
        self._write_beside(layout)
        return await check_configuration(find_program(), self._directory, candidate)

    async def wait_end(self) -> bool:
        """Return when HAProxy has ended: True when nobody asked it to."""
        process = self._process
        if process is None:
            return False
        await process.wait()
        return self._drop(process)

    async def has_died(self) -> bool:
        """Whether the silence of its socket is its death, which takes a moment to be seen."""
        process = self._process
        if process is None:
            return True
        try:
            async with asyncio.timeout(_DEATH_WITHIN_S):
                await process.wait()
        except TimeoutError:
            return False
        self._drop(process)
        return True

    async def stop(self) -> None:
        """End HAProxy and what is left of it."""
        process = self._process
        if process is not None:
            self._process = self._socket = None
            process.signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_WITHIN_S):
                    await process.wait()
            process.signal(signal.SIGKILL)
            process.close()
        await end_leftovers(self._directory)

    def _drop(self, process: Process) -> bool:
        """Forget a process that has ended; False when that was done before."""
        if self._process is not process:
            return False
        self._process = self._socket = None
        process.close()
        return True

    def let_go(self) -> None:
        """Forget HAProxy, which runs on."""
        if self._process is not None:
            self._process.close()
            self._process = self._socket = None
        self.former.close()

    async def _bring_servers(self, layout: Layout, route: str | None) -> str:
        socket = self._ask_socket()
        answer = ""
        maps = render_maps(layout)
        if route is None:
            answer += await self._bring_certificates(layout)
        for name in maps if route is None else TARGET_MAPS:
            if name != HOSTS_MAP:
                answer += await self._bring_map(name, maps[name])
        present = await self._servers(layout, route)
        slots = self._slots(layout, route)
        commands = _commands(layout, slots, present) + _removals(layout, slots, present)
        answer += await socket.order(commands)
        if route is None:
            answer += await self._bring_map(HOSTS_MAP, maps[HOSTS_MAP])
        return answer

    async def load_certificates(self, layout: Layout) -> dict[str, str]:
        """Give HAProxy the certificates that it does not have yet; the routes of those that it refuses."""
        if not (self._place.https and layout.is_secure and self.is_running):
            return {}
        refused = {}
        files = render_certificates(layout, self._place)
        present = await self._certificates()
        for route in layout.routes.values():
            name = certificate_name(route)
            if name is not None and name not in present:
                problem = await self._load_certificate(name, files[name])
                if problem is not None:
                    refused[route.name] = f"HAProxy refuses its certificate: {problem}"
        return refused

    async def _load_certificate(self, name: str, pem: str) -> str | None:
        self._write_file(name, pem)
        socket = self._ask_socket()
        await socket.ask(f"new ssl cert {name}")
        taken = await socket.ask(f"set ssl cert {name} <<\n{pem.strip()}\n")
        done = await socket.ask(f"commit ssl cert {name}")
        if "Success!" in done:
            return None
        await socket.ask(f"abort ssl cert {name}")
        await socket.ask(f"del ssl cert {name}")
        return " ".join(f"{taken} {done}".split())

    async def _bring_certificates(self, layout: Layout) -> str:
        """Show the certificates that are wanted, and only then no others any more."""
        if not (self._place.https and layout.is_secure):
            return ""
        socket, answer = self._ask_socket(), ""
        wanted, present = certificate_hosts(layout), await self._certificates()
        if wanted.keys() - present.keys():
            await self.load_certificates(layout)
        for name, hosts in wanted.items():
            if name not in present:
                said = await socket.ask(f"add ssl crt-list {CERTIFICATES} <<\n{name} {' '.join(hosts)}\n")
                answer += "" if "Success!" in said else said
        for name in present.keys() - wanted.keys():
            answer += await socket.order([f"del ssl crt-list {CERTIFICATES} {name}", f"del ssl cert {name}"])
        self._write_beside(layout)
        for path in self._directory.glob("certificate-*.pem"):
            if path.name not in wanted:
                path.unlink(missing_ok=True)
        return answer

    async def _certificates(self) -> dict[str, tuple[str, ...]]:
        return read_certificate_list(await self._ask_socket().ask(f"show ssl crt-list {CERTIFICATES}"))

    async def _bring_map(self, name: str, wanted: Mapping[str, str]) -> str:
        socket = self._ask_socket()
        present = read_map(await socket.ask(f"show map {name}"))
        return await socket.order(map_commands(name, wanted, present))

    async def _servers(self, layout: Layout, route: str | None) -> dict[str, dict[str, Server]]:
        of = f" {layout.places[route]}" if route else ""
        return read_servers(await self._ask_socket().ask(f"show servers state{of}"))

    def _slots(self, layout: Layout, route: str | None) -> list[str]:
        return [layout.places[route]] if route else list(layout.slots)

    def _ask_socket(self) -> RuntimeSocket:
        if self._socket is None:
            raise BalancerDown(f"HAProxy of {self._directory} does not run: it is being started again")
        return self._socket

    async def _wait_ready(self, generation: int, process: Process) -> RuntimeSocket | None:
        """The socket of a generation as soon as it answers; None when the process ends or never answers."""
        socket = RuntimeSocket(self._directory, admin_socket(generation))
        path = self._directory / admin_socket(generation)
        ended = asyncio.get_running_loop().time() + READY_WITHIN_S
        while asyncio.get_running_loop().time() < ended:
            if path.exists():
                with contextlib.suppress(BalancerDown):
                    await socket.ask("show info")
                    return socket
            if process.has_ended():
                return None
            await asyncio.sleep(_LOOK_EVERY_S)
        return None

    def _write(self, layout: Layout) -> None:
        record.save(self._directory, layout, self.figures.past)
        for name, text in render_files(layout, self._place).items():
            self._write_file(name, text)

    def _write_beside(self, layout: Layout) -> None:
        """Write what a configuration names, so that it can be checked before it is used."""
        for name, text in render_files(layout, self._place).items():
            if name != CONFIGURATION:
                self._write_file(name, text)

    def _write_file(self, name: str, text: str) -> None:
        write_atomically(self._directory / name, text, mode=0o600, durable=False)

    def _generations(self) -> list[int]:
        """Generations whose socket is there, the newest first."""
        names = [path.stem.removeprefix("admin-") for path in self._directory.glob("admin-*.sock")]
        return sorted((int(name) for name in names if name.isdigit()), reverse=True)

    def _clear_sockets(self, keep: int) -> None:
        for path in self._directory.glob("admin-*.sock"):
            if path.name != admin_socket(keep):
                path.unlink(missing_ok=True)

    def _log_size(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            return (self._directory / PROCESS_LOG).stat().st_size
        return 0

    def _explain(self, complaint: str) -> str:
        place = f"{self._place.host}:{self._place.port}"
        message = f"HAProxy did not start on {place}: {complaint or 'no reason given'}"
        if "ermission denied" in complaint:
            message += low_port_advice(self._place.port, errno.EACCES)
        return message


def _commands(layout: Layout, slots: Iterable[str], present: Mapping[str, Mapping[str, Server]]) -> list[str]:
    commands = []
    for slot in slots:
        if (route := layout.route_in(slot)) is not None:
            commands += server_commands(slot, layout.in_slot(slot), present.get(slot, {}), route)
    return commands


def _removals(layout: Layout, slots: Iterable[str], present: Mapping[str, Mapping[str, Server]]) -> list[str]:
    commands = []
    for slot in slots:
        route = layout.route_in(slot)
        wanted = list_servers(route, layout.in_slot(slot)) if route is not None else {}
        commands += removal_commands(slot, wanted, present.get(slot, {}))
    return commands
