"""How much Halage has to do, counted over the domains that monitoring must not know."""

from typing import Any

from sqlalchemy import ScalarSelect, Select, func, select

from halage.base.database import Database, Transaction
from halage.build.model import JobState
from halage.build.store import jobs_table
from halage.environment.model import DeploymentState
from halage.environment.tables.store import OPEN_DEPLOYMENTS, deployments_table
from halage.monitor.inventory import Workload
from halage.pipeline.store import OPEN_RUNS, runs_table


class WorkloadCounter:
    """Counts open runs, jobs and deployments in one statement, by the indexes of their states."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self) -> Workload:
        """What waits and what is under way now."""
        return await self._database.run(_count)


def _count(tx: Transaction) -> Workload:
    open_deployments = (*OPEN_DEPLOYMENTS, DeploymentState.WAITING.value)
    row = tx.execute(
        select(
            _number(select(func.count()).where(runs_table.c.state.in_(OPEN_RUNS))),
            _number(select(func.count()).where(jobs_table.c.state == JobState.QUEUED.value)),
            _number(select(func.count()).where(jobs_table.c.state == JobState.RUNNING.value)),
            _number(select(func.count()).where(deployments_table.c.state.in_(open_deployments))),
        )
    ).one()
    return Workload(*(int(number) for number in row))


def _number(query: Select[Any]) -> ScalarSelect[Any]:
    return query.scalar_subquery()
