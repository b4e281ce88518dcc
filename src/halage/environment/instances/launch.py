"""From a release's configuration to the unit that runs it."""

import ipaddress
import random
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from halage.compute.model import Account, InstanceType, UnitSpec
from halage.environment.autoscaling.model import WEB
from halage.environment.configuration import Configuration, Sealer
from halage.environment.instances.probe import Probe
from halage.environment.tables.store import Place
from halage.site import serving as site_serving
from halage.site.serving import Serving

WORKER_STEADY_S = 2.0
"""A worker that has run for so long has started."""
PROBE_TIMEOUT_S = 5.0
"""The first answers of an instance may take so long, however short the running check's time-out is."""
FIRST_PORT, LAST_PORT = 12000, 31999
"""Ports of instances: below the kernel's ephemeral range (32768 up), so that no client takes one."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one unit of a release runs: its place, release, type, address, directories and account."""

    place: Place
    release: Any
    """The release's row."""
    configuration: Configuration
    type: InstanceType
    address: str
    port: int
    directory: Path
    """The unpacked release."""
    private: Path
    account: Account | None
    told: Mapping[str, str] = field(default_factory=dict)
    """Variables of Halage's own, which people's come before."""


EVERYWHERE = "0.0.0.0"  # noqa: S104 - for instances that shall be reached from outside


def free_addresses(private_range: str) -> Iterator[tuple[str, int]]:
    """Addresses of the range (CIDR, on loopback), each with a port that nobody listens on, to choose from.

    The port is to be unique too: a site that listens on all addresses must not meet another one.
    They end after a thousand that were looked at.
    """
    network = ipaddress.IPv4Network(private_range)
    for _ in range(1000):
        port = random.randint(FIRST_PORT, LAST_PORT)  # noqa: S311 - no secret
        if _is_free(port):
            yield str(network[random.randrange(1, network.num_addresses - 1)]), port  # noqa: S311


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - only to see whether anyone has it
        except OSError:
            return False
    return True


def instance_of(seat: Seat, sealer: Sealer) -> Serving:
    """How an instance serves its site: command, files for its own directory, environment."""
    return site_serving.serving(seat.configuration.site, _serving_place(seat, sealer))


def release_step_of(seat: Seat, sealer: Sealer) -> Serving | None:
    """What runs once before the first instance of the release; None when the site names nothing."""
    return site_serving.release_step(seat.configuration.site, _serving_place(seat, sealer))


def one_off_of(seat: Seat, sealer: Sealer, command: Sequence[str]) -> Serving:
    """What runs a command once in the seat of an instance; without a command, a shell."""
    return site_serving.one_off(seat.configuration.site, _serving_place(seat, sealer), command)


def _serving_place(seat: Seat, sealer: Sealer) -> site_serving.Place:
    project, environment = seat.place
    is_public = seat.configuration.plan(environment).network.public_instances
    return site_serving.Place(
        release=seat.directory,
        private=seat.private,
        # All addresses of the machine, the private one among them: there it is probed and balanced.
        address=EVERYWHERE if is_public else seat.address,
        port=seat.port,
        account_is_separate=seat.account is not None,
        memory_mib=seat.type.memory_mib,
        project=project,
        environment=environment,
        release_number=seat.release.number,
        commit=seat.release.commit,
        variables={**seat.told, **seat.configuration.environment(environment, sealer)},
    )


def process_of(seat: Seat, sealer: Sealer, command: str) -> Serving:
    """How a command runs in the release, with the variables of an instance."""
    return site_serving.process(seat.configuration.site, _serving_place(seat, sealer), command)


def unit_of(unit_id: str, seat: Seat, serving: Serving) -> UnitSpec:
    """The unit that runs it, in the release's directory, within its type."""
    return UnitSpec(
        id=unit_id,
        command=serving.command,
        directory=str(seat.directory),
        environment=serving.environment,
        limits=seat.type.limits,
        account=seat.account,
    )


def worker_probe(address: str, port: int) -> Probe:
    """How a worker shows that it is well: it goes on running."""
    return Probe(f"http://{address}:{port}/", "", 0.0, 0.0, stays_up_s=WORKER_STEADY_S)


def command_of(process: str, place: Place, configuration: Configuration) -> str | None:
    """The command of a kind of process: its own, or the line of the Procfile; None where there is neither."""
    kind = next((each for each in configuration.plan(place[1]).processes if each.name == process), None)
    return (kind.command if kind else None) or configuration.site.procfile.get(process)


def probe_of(address: str, port: int, host: str, place: Place, configuration: Configuration) -> Probe:
    """How an instance shows that it is well."""
    health = configuration.plan(place[1]).health
    boot_timeout_s = configuration.site.run.boot_timeout_s
    return Probe(
        url=f"http://{address}:{port}{health.path}",
        host=host,
        timeout_s=max(health.timeout_s, min(PROBE_TIMEOUT_S, boot_timeout_s)),
        boot_timeout_s=boot_timeout_s,
    )


def probe_of_row(row: Any, host: str, configuration: Configuration) -> Probe:
    """How a recorded instance shows that it is well."""
    if row.process != WEB:
        return worker_probe(row.address, row.port)
    return probe_of(row.address, row.port, host, (row.project, row.environment), configuration)
