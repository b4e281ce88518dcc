"""The tests' own clock keeps its promises."""

import asyncio

from halage.base.clock import Clock
from tests.clock import ManualClock


async def test_sleepers_wake_in_the_order_of_their_deadlines(clock: ManualClock) -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float, clock: Clock) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("late", 5, clock))
        group.create_task(sleeper("early", 2, clock))
        await clock.advance(4.9)
        assert woken == [("early", 2.0)]
        await clock.advance(0.1)
    assert [name for name, _ in woken] == ["early", "late"]


async def test_a_jump_moves_the_wall_clock_alone(clock: ManualClock) -> None:
    before = clock.now()
    clock.jump(-3600)
    assert clock.now() == before - 3600
    assert clock.monotonic() == 0
