"""A day of a fleet, in virtual time: much goes wrong, and no instance is lost or doubled."""

import asyncio
from pathlib import Path

import pytest

from halage.environment.model import InstanceState
from halage.environment.records.orders import rows_of
from halage.environment.tables.store import update_instance
from tests.simulation import DAY_S, Fleet, Happening, Plan, draw, place_of, simulate
from tests.virtual_time import Stuck, VirtualClock, run_virtually


def test_a_day_in_which_much_goes_wrong_ends_with_every_instance_in_its_place_once() -> None:
    fleet = simulate(Plan(environments=10, instances=3, seed=14, watch_s=10.0))
    assert fleet.happened.keys() == {"kill", *(each.value for each in Happening)}, "choose another seed"
    assert fleet.happened["kill"] == 2


def test_what_is_lost_is_found(tmp_path: Path) -> None:
    """The look at the end sees an instance that nobody knows of, and one that nobody runs."""
    fleet = Fleet(Plan(environments=2, instances=2, deaths=0.0, kills=0, duration_s=4_000.0), tmp_path)

    async def live() -> None:
        await fleet.live_through()
        unit = fleet.ground.compute.running()[0]
        spec = fleet.ground.compute.spec(unit)
        place = (spec.environment["HALAGE_PROJECT"], spec.environment["HALAGE_ENVIRONMENT"])
        fleet.ground.compute.end(unit, 1)
        with pytest.raises(AssertionError):
            await fleet.find_whole([place])
        rows = await fleet.ground.database.run(rows_of, place)
        for row in rows.instances:
            await fleet.ground.database.run(update_instance, row.id, state=InstanceState.STOPPED.value)
        with pytest.raises(AssertionError):
            await fleet.find_whole([place])

    run_virtually(live())
    fleet.ground.close()


def test_an_environment_lives_the_same_day_in_a_fleet_of_any_size() -> None:
    small, large = (draw(Plan(environments=size, instances=5)) for size in (3, 30))
    assert small == [event for event in large if event.number < 3]
    assert len({place_of(number) for number in range(30)}) == 30


def test_time_passes_by_itself_and_in_order() -> None:
    async def main() -> list[str]:
        clock, heard = VirtualClock(), list[str]()

        async def say_after(seconds: float) -> None:
            await clock.sleep(seconds)
            heard.append(f"{clock.monotonic():g}")

        await asyncio.gather(*(say_after(seconds) for seconds in (3600.0, 1.0, DAY_S)))
        return heard

    assert run_virtually(main()) == ["1", "3600", "86400"]


def test_who_waits_for_nothing_is_told() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck):
        run_virtually(main())
