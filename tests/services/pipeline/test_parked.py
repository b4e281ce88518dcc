"""A run that waits for a person costs nothing but its rows and a timer."""

import asyncio

from sqlalchemy import event, insert

from halage.base.database import Transaction
from halage.pipeline import store
from halage.pipeline.model import RunState, StageState
from tests.clock import ManualClock
from tests.controlplane import SHOP, Ground, control_plane

MANY = 1000


def _park(tx: Transaction, count: int) -> None:
    """Runs of as many projects, each before the approval of its production."""
    run: dict[str, object] = {
        "branch": "main",
        "commit": "c" * 40,
        "title": "Change",
        "author": "Ada",
        "created_by": "ada",
    }
    run |= {"state": "waiting", "reason": "waits for an approval of prod", "created_at": tx.now}
    numbers = range(1, count + 1)
    tx.execute(insert(store.runs_table), [{"id": n, "project": f"{SHOP}-{n}", **run} for n in numbers])
    stage: dict[str, object] = {
        "position": 0,
        "name": "approval",
        "kind": "approval",
        "state": "waiting",
        "reason": "",
    }
    stage |= {"attempt": 1, "comment": "", "deadline_at": tx.now + 1000.0}
    tx.execute(insert(store.stages_table), [{"run_id": n, **stage} for n in numbers])


async def test_a_thousand_parked_runs_hold_no_task_and_ask_nothing(ground: Ground) -> None:
    await ground.database.run(_park, MANY)
    async with control_plane(ground) as plane:
        await asyncio.sleep(0)
        await plane.pipeline_controller.settled(MANY)
        statements: list[str] = []

        @event.listens_for(ground.database.engine, "before_cursor_execute")
        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        tasks = {task.get_name() for task in asyncio.all_tasks()}
        assert len(tasks) < 5, f"no run holds a task: {tasks}"
        await asyncio.sleep(0.05)
        assert statements == [], "nothing is asked while nothing happens"
        assert (await plane.pipeline.run(MANY)).state is RunState.WAITING


async def test_the_timer_of_a_parked_run_is_still_there_after_a_restart(
    ground: Ground, clock: ManualClock
) -> None:
    await ground.database.run(_park, 3)
    await clock.advance(1000.0)
    async with control_plane(ground) as plane:
        run = await plane.run_until(3)
        assert run.stages[0].state is StageState.FAILED
        assert run.reason == "nobody approved it before its deadline"
