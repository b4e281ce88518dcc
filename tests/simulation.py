"""A fleet in memory and in virtual time, run by the real controllers for a day in which much goes wrong.

What happens is drawn beforehand from a seed, for each environment from a source of its own: the day
of an environment is the same however many others there are. Instances die, crash in a loop, do not
start and do not answer; releases are broken; people deploy, abort, roll back, restart and scale; the
balancer does not answer for a while, and the control plane is killed and comes back.

    python -m tests.simulation 1000 10                a day of 1,000 environments with 10 instances each
    python -m tests.simulation 1000 10 86400 0.1      the same, with a tenth of what goes wrong otherwise
"""

import asyncio
import contextlib
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

import structlog

from halage.base.errors import HalageError
from halage.compute.drivers.memory import MemoryDriver, Script
from halage.compute.model import UnitSpec
from halage.environment.control.inventory import EnvironmentInventory
from halage.environment.instances.probe import Probe
from halage.environment.model import DeploymentState, InstanceState
from halage.environment.records import orders, scaling
from halage.environment.records.orders import DeploymentOrder
from halage.environment.routing import route_name
from halage.environment.tables import store
from halage.environment.tables.store import Place
from halage.monitor.inventory import Workload
from halage.site.model import EnvironmentPlan, RunPlan
from tests.controlplane import ControlPlane, Ground, control_plane, live, site_of
from tests.drivers import Life, ScriptedProber
from tests.virtual_time import VirtualClock, run_virtually

DAY_S = 86_400.0
SETTLE_S = 2_000.0
"""Longer than any deployment and its way back may take."""
CALM_S = 3_600.0
"""An environment to which nothing happened for so long must be whole."""
LOOK_S = 3_600.0
FATE = "FATE"
"""The variable of a release that says what becomes of its instances."""
BOOT_S = (1.0, 8.0)
ACTOR = "ada"


class Happening(Enum):
    """What can happen to an environment."""

    DEPLOY = "deploy"
    DEPLOY_EXITING = "deploy a release that exits"
    DEPLOY_SILENT = "deploy a release that never answers"
    ABORT = "abort"
    ROLLBACK = "rollback"
    RESTART = "restart"
    SCALE = "scale"
    DEATH = "death"
    CRASH_LOOP = "crash loop"


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """Something that happens `at` so many seconds after midnight."""

    at: float
    number: int
    """Of the environment."""
    what: Happening = field(compare=False)
    chance: float = field(compare=False)
    """From 0 to 1: which instance, how many."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How large the fleet is, and how much happens."""

    environments: int
    instances: int
    deaths: float = 0.5
    """Of each instance, on the average."""
    share: float = 1.0
    """How much of everything that may happen to an environment does, but for its first deployment."""
    kills: int = 2
    """Of the control plane."""
    seed: int = 1
    duration_s: float = DAY_S
    watch_s: float = 1.0
    """How often monitoring asks what there is; every second in the product."""


def place_of(number: int) -> Place:
    """Five environments to a project."""
    return f"site-{number // 5:04}", f"env-{number % 5}"


def draw(plan: Plan) -> list[Event]:
    """All that happens, in its order."""
    return sorted(event for number in range(plan.environments) for event in _draw_one(plan, number))


def _draw_one(plan: Plan, number: int) -> Iterator[Event]:
    chance = random.Random(plan.seed * 1_000_003 + number)

    def event(what: Happening, at: float | None = None) -> Event:
        moment = chance.uniform(3_600.0, plan.duration_s) if at is None else at
        return Event(moment, number, what, chance.random())

    yield event(Happening.DEPLOY, chance.uniform(0.0, 1_800.0))
    for what, share in _SHARES.items():
        if chance.random() < share * plan.share:
            yield event(what)
    if chance.random() < 0.1 * plan.share:
        begun = chance.uniform(3_600.0, plan.duration_s)
        yield event(Happening.DEPLOY, begun)
        yield event(Happening.ABORT, begun + chance.uniform(0.5, 30.0))
    for _ in range(_rounded(plan.instances * plan.deaths * plan.share, chance)):
        yield event(Happening.DEATH)


_SHARES = {
    Happening.DEPLOY: 0.8,
    Happening.DEPLOY_EXITING: 0.1,
    Happening.DEPLOY_SILENT: 0.05,
    Happening.ROLLBACK: 0.1,
    Happening.RESTART: 0.1,
    Happening.SCALE: 0.5,
    Happening.CRASH_LOOP: 0.1,
}


def _rounded(number: float, chance: random.Random) -> int:
    return int(number) + (chance.random() < number % 1)


class _Prober(ScriptedProber):
    """Answers for the instances, each after its own boot time."""

    def __init__(self, compute: MemoryDriver, chance: random.Random) -> None:
        super().__init__(compute)
        self._chance = chance
        self.fates: dict[str, str] = {}
        """By HOST:PORT."""

    async def until_answer(self, probe: Probe, is_over: Callable[[], bool]) -> str | None:
        fate = self.fates[probe.url.split("/")[2]]
        wait_s = probe.boot_timeout_s if fate == "silent" else self._chance.uniform(*BOOT_S)
        while wait_s > 0 and not is_over():
            await asyncio.sleep(min(wait_s, 1.0))
            wait_s -= 1.0
        return "gave no good answer" if fate == "silent" or is_over() else None


class Fleet:
    """The ground of a fleet, and one day of it."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self._plan = plan
        self._chance = random.Random(plan.seed)
        self._events = draw(plan)
        self._next = 0
        self._touched: dict[Place, float] = {}
        """When something happened to an environment last."""
        self._units: defaultdict[Place, list[str]] = defaultdict(list)
        self.clock = VirtualClock()
        self.ground = Ground(directory, self.clock)
        self._prober = _Prober(self.ground.compute, self._chance)
        self.ground.prober = self._prober
        self.ground.compute.script_for = self._script
        self.happened: Counter[str] = Counter()
        self.doubled: list[str] = []
        """Instances that were started while they ran."""
        self._orders = 0

    # -- the day

    async def live_through(self) -> None:
        """All of it: each kill ends a life of the control plane, and the next one goes on."""
        for _ in range(self._plan.kills):
            life = Life()
            at = self._chance.uniform(self.clock.monotonic(), self._plan.duration_s)

            async def play(plane: ControlPlane, life: Life = life, at: float = at) -> None:
                plane.tasks.start(self._kill(life, at), "kill")
                await self._play(plane)

            await live(self.ground, life, play)
            self.happened["kill"] += life.is_over
        async with control_plane(self.ground) as plane:
            await self._play(plane)
            await self._end_well()

    async def _kill(self, life: Life, at: float) -> None:
        """Let the control plane die at one of the changes that it makes after that moment."""
        await asyncio.sleep(at - self.clock.monotonic())
        life.steps = len(life.taken) + self._chance.randint(1, 40)

    async def _play(self, plane: ControlPlane) -> None:
        machinery = plane.environments._m
        inventory = EnvironmentInventory(machinery, plane.environment_controller, _no_work)
        watching = plane.tasks.start(self._watch(inventory), "watch")
        looking = plane.tasks.start(self._look(), "look")
        while self._next < len(self._events):
            event = self._events[self._next]
            await asyncio.sleep(event.at - self.clock.monotonic())
            self._next += 1
            self._touched[place_of(event.number)] = self.clock.monotonic()
            self.happened[event.what.value] += 1
            with contextlib.suppress(HalageError):  # nothing to roll back to, nothing to abort
                await self._happen(plane, event)
        await asyncio.sleep(max(self._plan.duration_s - self.clock.monotonic(), 0.0) + SETTLE_S)
        watching.cancel()
        looking.cancel()

    async def _happen(self, plane: ControlPlane, event: Event) -> None:
        project, name = place = place_of(event.number)
        match event.what:
            case Happening.DEPLOY:
                await self._deploy(plane, place, "good")
            case Happening.DEPLOY_EXITING:
                await self._deploy(plane, place, "exits")
            case Happening.DEPLOY_SILENT:
                await self._deploy(plane, place, "silent")
            case Happening.ABORT:
                (latest,) = await plane.environments.deployments(project, name, limit=1)
                await plane.environments.abort(latest.id, actor=ACTOR)
            case Happening.ROLLBACK:
                await plane.environments.rollback(project, name, actor=ACTOR)
            case Happening.RESTART:
                await plane.environments.restart(project, name, actor=ACTOR)
            case Happening.SCALE:
                wanted = 1 + round(event.chance * 2 * (self._plan.instances - 1))
                await plane.environments.scale(project, name, wanted, actor=ACTOR)
            case Happening.DEATH:
                self._kill_one(place, event.chance)
            case Happening.CRASH_LOOP:
                plane.tasks.start(self._crash(place, event.chance), f"crash {route_name(place)}")

    async def _deploy(self, plane: ControlPlane, place: Place, fate: str) -> None:
        project, name = place
        self._orders += 1
        plan = EnvironmentPlan(name, instances=self._plan.instances, type="nano")
        site = site_of(run=RunPlan(start="serve"), variables={FATE: fate})
        site = replace(site, environments={name: plan})
        await plane.environments.create(project, [plan])
        commit = f"{self._orders:040x}"
        order = DeploymentOrder(commit, "0" * 64, commit, "Change the page", site, self._orders)
        await plane.environments.deploy(project, name, order, actor=ACTOR)

    def _kill_one(self, place: Place, chance: float) -> None:
        units = self._running(place)
        if units:
            self.ground.compute.end(units[int(chance * len(units))], 137)

    async def _crash(self, place: Place, chance: float) -> None:
        for _ in range(5):
            self._kill_one(place, chance)
            await asyncio.sleep(20.0)
            self._touched[place] = self.clock.monotonic()

    def _script(self, spec: UnitSpec) -> Script:
        fate = spec.environment[FATE]
        instance, _, attempt = spec.id.rpartition(".")
        if self.ground.compute.is_running(f"{instance}.{int(attempt) - 1}"):
            self.doubled.append(spec.id)
        place = (spec.environment["HALAGE_PROJECT"], spec.environment["HALAGE_ENVIRONMENT"])
        self._units[place].append(spec.id)
        self._prober.fates[f"{spec.environment['HOST']}:{spec.environment['PORT']}"] = fate
        if fate == "good" and self._chance.random() < 0.002:
            return Script(start_error="the machine has no memory left")
        return Script(exit_code=3 if fate == "exits" else None)

    def _running(self, place: Place) -> list[str]:
        """The units of an environment that run."""
        running = [unit for unit in self._units[place] if self.ground.compute.is_running(unit)]
        self._units[place] = running
        return running

    # -- whoever looks

    async def _watch(self, inventory: EnvironmentInventory) -> None:
        """Ask what there is to watch as often as monitoring does."""
        while True:
            await asyncio.sleep(self._plan.watch_s)
            await inventory.environments()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            now = self.clock.monotonic()
            await self.find_whole([place for place, at in self._touched.items() if now - at >= CALM_S])

    async def _end_well(self) -> None:
        """Every environment is whole, and nothing runs that belongs to none."""
        await self.find_whole(list(self._touched))
        belonging = {unit for place in self._touched for unit in self._running(place)}
        assert set(self.ground.compute.running()) == belonging
        assert self.ground.notes.illegal == self.doubled == []

    async def find_whole(self, places: list[Place]) -> None:
        """Each of these has just the instances that it shall have, once each, of its current release."""
        for place in places:
            rows = await self.ground.database.run(orders.rows_of, place)
            if rows.environment.current_release_id is None:
                assert self._running(place) == [], f"{place} has no release, but something runs"
                continue
            current = rows.releases[rows.environment.current_release_id]
            assert rows.deployment is not None and DeploymentState(rows.deployment.state).is_final, place
            recorded = sorted(f"{row.id}.{row.attempt}" for row in rows.instances)
            assert len(recorded) == scaling.wanted(rows), f"{place} has {recorded}"
            assert {row.state for row in rows.instances} == {InstanceState.SERVING}, place
            assert sorted(self._running(place)) == recorded, place
            served = sorted(target.id for target in self.ground.balancer.serving(route_name(place)))
            assert served == sorted(row.id for row in rows.instances), place
            assert {row.release_id for row in rows.instances} == {current.id}, place
            # An instance may be taken over by a release that differs in nothing that it runs with.
            for row in rows.instances:
                begun = await self.ground.database.run(
                    store.release_row, row.started_release_id or row.release_id
                )
                seen = self.ground.compute.spec(f"{row.id}.{row.attempt}").environment
                assert (seen[FATE], seen["HALAGE_RELEASE"]) == ("good", str(begun.number)), place
                assert begun.bundle_digest == current.bundle_digest, place


async def _no_work() -> Workload:
    return Workload(0, 0, 0, 0)


def simulate(plan: Plan) -> Fleet:
    """A fleet after its day. Raises AssertionError where an instance was lost or doubled."""
    with tempfile.TemporaryDirectory(prefix="halage-fleet-") as directory:
        fleet = Fleet(plan, Path(directory))
        try:
            run_virtually(fleet.live_through())
        finally:
            fleet.ground.close()
    return fleet


def main() -> None:
    """Print what a day cost."""
    environments, instances = int(sys.argv[1]), int(sys.argv[2])
    duration_s, share = (*(float(word) for word in sys.argv[3:]), *(DAY_S, 1.0)[len(sys.argv) - 3 :])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    plan = Plan(environments, instances, duration_s=duration_s, share=share)
    begin = time.process_time()
    fleet = simulate(plan)
    cpu_s = time.process_time() - begin
    figures = {
        "environments": environments,
        "instances": environments * instances,
        "cpu_s": round(cpu_s, 2),
        "cpu_ms_per_environment": round(cpu_s / environments * 1000, 2),
        "starts": len(fleet.ground.started()),
        "happened": dict(fleet.happened),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
