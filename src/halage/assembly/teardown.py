"""Ends what outlives the server: every instance with its output, every job and the balancer.

Repositories, releases, the database and what sites keep stay.
"""

import asyncio

import structlog

from halage.assembly.data import DataLock, prepare_data
from halage.assembly.logs import configure_logs
from halage.assembly.settings import Settings
from halage.balancer.drivers.haproxy import HAProxyDriver
from halage.compute.drivers.process import ProcessDriver

log = structlog.get_logger()
GRACE_S = 5.0


def teardown(settings: Settings) -> None:
    """End all of it. Raises DataInUse while a server runs. The next `serve` starts the sites again."""
    configure_logs(settings.log)
    prepare_data(settings.data)
    lock = DataLock(settings.data)
    try:
        asyncio.run(_teardown(settings))
    finally:
        lock.release()


async def _teardown(settings: Settings) -> None:
    async with HAProxyDriver(settings.data / "balancer", settings.http, https=settings.https) as balancer:
        await balancer.stop()
    async with ProcessDriver(settings.data / "units") as compute:
        units = await compute.list()
        async with asyncio.TaskGroup() as group:
            for unit in units:
                group.create_task(_end(compute, unit.id), name=f"end {unit.id}")
    log.info("everything ended", action="server:Teardown", subject="server", units=len(units))


async def _end(compute: ProcessDriver, unit_id: str) -> None:
    await compute.stop(unit_id, GRACE_S)
    await compute.remove(unit_id)
