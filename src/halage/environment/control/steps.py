"""Carries out what was decided. Each step records first or is idempotent, so that it can be taken again."""

from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from halage.balancer.model import Target
from halage.base.errors import HalageError
from halage.base.ids import new_id
from halage.base.tasks import Tasks
from halage.compute.model import Exit
from halage.environment.autoscaling.model import WEB
from halage.environment.configuration import Configuration
from halage.environment.instances.fleet import Fleet, copy_of
from halage.environment.instances.launch import (
    FIRST_PORT,
    LAST_PORT,
    Seat,
    command_of,
    free_addresses,
    instance_of,
    probe_of_row,
    process_of,
    release_step_of,
    unit_of,
)
from halage.environment.instances.seats import take_seat, unpack_release
from halage.environment.machinery import Machinery
from halage.environment.model import DeploymentState, InstanceState
from halage.environment.records import ledger
from halage.environment.routing import route_name
from halage.environment.rules import (
    Action,
    BeginBatch,
    CreateInstance,
    Drain,
    End,
    Finish,
    Halt,
    Judged,
    Launch,
    Move,
    Prepare,
    Restart,
    RollBack,
    Route,
    RunReleaseCommand,
    Withdraw,
)
from halage.environment.tables import rollouts, store
from halage.environment.tables.store import Place
from halage.environment.workers import FailProof
from halage.site.serving import Serving

log = structlog.get_logger()
RELEASE_GRACE_S = 2.0
"""What a release command gets to end by itself when its deployment is turned round."""
RESTART_GRACE_S = 2.0
"""What an instance that lives but fails gets to end by itself: its address is needed for the next attempt."""
RELEASE_UNIT = "r-"

_Work = Callable[[Place, ledger.Book], Coroutine[Any, Any, None]]


def release_unit(deployment_id: int) -> str:
    """The unit that runs the release command of a deployment: found again, never started twice."""
    return f"{RELEASE_UNIT}{deployment_id}"


def ending(instance_id: str) -> str:
    """What `busy` names the end of an instance."""
    return f"end {instance_id}"


class Steps:
    """The steps of all environments. What takes long runs beside, named in `busy` meanwhile."""

    def __init__(
        self,
        machinery: Machinery,
        fleet: Fleet,
        busy: dict[Place, set[str]],
        *,
        tasks: Tasks,
        wake: Callable[[Place], None],
    ) -> None:
        self._m = machinery
        self._fleet = fleet
        self._busy = busy
        self._tasks = tasks
        self._wake = wake
        self._in_turn: set[int] = set()
        """Deployments that hold the routing's turn."""

    async def take(self, place: Place, action: Action | FailProof, book: ledger.Book) -> None:
        """Carry out one action."""
        match action:
            case Prepare():
                self._beside(place, "prepare", book, self._prepare)
            case RunReleaseCommand():
                self._beside(place, "release", book, self._run_release_command)
            case CreateInstance(release_id, process):
                await self._create(place, release_id, process, book)
            case Launch(instance_id):
                await self._launch(place, book.instance(instance_id), book)
            case Move(instance_id, state, reason):
                await self._move(book.instance(instance_id), state, reason)
            case Restart(instance_id):
                await self._restart(place, book.instance(instance_id), action)
            case Route(instance_id, share):
                await self._route(place, book.instance(instance_id), share, book)
            case Drain(instance_id):
                await self._m.balancer.drain(route_name(place), instance_id)
                self._fleet.observe(copy_of(book.instance(instance_id))).in_balancer = "draining"
            case Withdraw(instance_id):
                await self._m.balancer.remove(route_name(place), instance_id)
                self._fleet.observe(copy_of(book.instance(instance_id))).in_balancer = "out"
            case End(instance_id):
                row = book.instance(instance_id)
                self._busy[place].add(ending(instance_id))
                self._tasks.start(self._end(place, row, book), f"end {instance_id}")
            case BeginBatch(number):
                deployment_id = book.under_way.id
                await self._m.database.run(rollouts.update_rollout, deployment_id, batch=number)
            case Judged(verdict):
                await self._m.database.run(ledger.judged, book.under_way.id, verdict)
            case Halt(reason, instance_id):
                await self._halt(place, reason, instance_id, book)
            case RollBack(reason, instance_id):
                await self._roll_back(place, reason, instance_id, book)
            case Finish(state):
                await self._finish(place, state, book)
            case FailProof(reason, instance_id):
                await self._fail_proof(reason, instance_id, book)

    # -- deployments

    async def begin(self, place: Place, book: ledger.Book) -> None:
        """Let a waiting deployment run, unless a newer run's release is there already."""
        waiting = book.waiting
        assert waiting is not None
        outcome = await self._m.database.run(ledger.begin, waiting.id, self._m.limits.deadline_s)
        log.info(
            f"deployment {outcome}",
            action="environment:Deploy",
            subject=route_name(place),
            deployment=waiting.id,
        )
        if outcome == "started":
            await self._take_route(place, book.releases[waiting.release_id], waiting.id)

    async def take_turn(self, deployment_id: int) -> None:
        """From now until the deployment's end, the balancer does not reload."""
        if deployment_id not in self._in_turn:
            await self._m.routing.enter()
            self._in_turn.add(deployment_id)

    async def end_turn(self, deployment_id: int) -> None:
        """The deployment has ended, or is gone: the balancer may reload. Idempotent."""
        if deployment_id in self._in_turn:
            self._in_turn.discard(deployment_id)
            await self._m.routing.leave()

    async def _take_route(self, place: Place, release: Any, deployment_id: int | None) -> None:
        """Let the balancer know the host names and the check that a release asks for."""
        plan = Configuration.from_document(release.configuration).plan(place[1])
        refused = await self._m.routing.change({place: plan})
        reason = refused.get(route_name(place))
        if reason is not None and deployment_id is not None:
            await self._m.database.run(
                ledger.fail, deployment_id, f"the balancer refuses its route: {reason}"
            )

    def _beside(self, place: Place, name: str, book: ledger.Book, work: _Work) -> None:
        self._busy[place].add(name)
        task = self._finish_beside(place, name, book, work)
        self._tasks.start(task, f"{name} {route_name(place)}")

    async def _finish_beside(self, place: Place, name: str, book: ledger.Book, work: _Work) -> None:
        """What goes wrong in a way that nobody foresaw fails the deployment, and nothing else."""
        try:
            await work(place, book)
        except Exception as error:
            log.exception("step failed", action=f"environment:{name}", subject=route_name(place))
            await self._m.database.insist(ledger.fail, book.under_way.id, f"{name} failed: {error!r}")
        finally:
            self._busy[place].discard(name)
            self._wake(place)

    async def _prepare(self, place: Place, book: ledger.Book) -> None:
        deployment = book.under_way
        start = self._m.clock.monotonic()
        try:
            await self._unpack(place, book.releases[deployment.release_id])
        except (HalageError, OSError) as error:
            reason = f"the release could not be unpacked: {error}"
            await self._m.database.insist(ledger.fail, deployment.id, reason)
            return
        elapsed = self._m.clock.monotonic() - start
        await self._m.database.run(store.add_phase, deployment.id, "prepare", elapsed)

    async def _unpack(self, place: Place, release: Any) -> None:
        await unpack_release(self._m, place, release)

    async def _run_release_command(self, place: Place, book: ledger.Book) -> None:
        """Run it as a unit named after the deployment: found again, never started twice."""
        deployment = book.under_way
        unit_id = release_unit(deployment.id)
        start = self._m.clock.monotonic()
        seat = await take_seat(self._m, place, unit_id, book.releases[deployment.release_id])
        step = release_step_of(seat, self._m.sealer)
        if step is None:
            await self._m.database.run(ledger.release_command_succeeded, deployment.id, None)
            return
        try:
            await self._m.places.make_private(place, unit_id, step.files, seat.account)
            await self._m.compute.start(unit_of(unit_id, seat, step))
            if not await self._m.database.run(ledger.is_under_way, deployment.id):
                # Turned round meanwhile, perhaps before there was a unit to stop.
                await self._m.compute.stop(unit_id, RELEASE_GRACE_S)
            exit_: Exit = await self._m.compute.wait(unit_id)
            tail = await self._fleet.tail(unit_id)
        except HalageError as error:
            await self._m.database.run(ledger.fail, deployment.id, f"the release command: {error}")
            return
        if exit_.code == 0:
            elapsed = self._m.clock.monotonic() - start
            await self._m.database.insist(ledger.release_command_succeeded, deployment.id, elapsed)
        else:
            command = seat.configuration.site.run.release_command
            reason = f"the release command `{command}` {exit_}"
            await self._m.database.insist(ledger.fail, deployment.id, reason, tail)
        await self._m.compute.remove(unit_id)
        self._m.places.forget_private(place, unit_id)

    async def clear(self) -> None:
        """Remove what a control plane that was cut off left: release commands, directories of nobody."""
        needed = await self._m.database.run(ledger.needed_names, RELEASE_UNIT)
        for unit in await self._m.compute.list():
            if unit.id.startswith(RELEASE_UNIT) and unit.id not in set().union(*needed.values()):
                await self._m.compute.stop(unit.id, RELEASE_GRACE_S)
                await self._m.compute.remove(unit.id)
        for place, names in needed.items():
            self._m.places.prune_private(place, names)

    async def _tail_of(self, instance_id: str | None, book: ledger.Book) -> str:
        if instance_id is None:
            return ""
        return await self._fleet.tail(copy_of(book.instance(instance_id)).unit_id)

    async def _halt(self, place: Place, reason: str, instance_id: str | None, book: ledger.Book) -> None:
        tail = await self._tail_of(instance_id, book)
        await self._m.database.run(ledger.halt, book.under_way.id, reason, tail)
        log.warning(
            "deployment stands still", action="environment:Halt", subject=route_name(place), reason=reason
        )

    async def _roll_back(self, place: Place, reason: str, instance_id: str | None, book: ledger.Book) -> None:
        tail = await self._tail_of(instance_id, book)
        release = book.releases[book.under_way.release_id]
        plan = Configuration.from_document(release.configuration).plan(place[1]).deployments
        deadline_at = self._m.clock.now() + (plan.deadline_s or self._m.limits.deadline_s)
        await self._m.database.run(ledger.roll_back, book.under_way.id, reason, tail, deadline_at)
        unit_id = release_unit(book.under_way.id)
        await self._m.compute.stop(unit_id, RELEASE_GRACE_S)
        if "release" not in self._busy[place]:  # else its own task takes it away, now that it has ended
            await self._m.compute.remove(unit_id)
            self._m.places.forget_private(place, unit_id)
        log.warning(
            "deployment turns back",
            action="environment:RollBack",
            subject=route_name(place),
            reason=reason,
        )

    async def _fail_proof(self, reason: str, instance_id: str | None, book: ledger.Book) -> None:
        tail = ""
        if instance_id is not None:
            tail = await self._fleet.tail(copy_of(book.instance(instance_id)).unit_id)
        await self._m.database.run(ledger.fail, book.under_way.id, reason, tail)

    async def _finish(self, place: Place, state: DeploymentState, book: ledger.Book) -> None:
        deployment = book.under_way
        await self._m.database.run(ledger.finish, deployment.id, state)
        await self.end_turn(deployment.id)
        log.info(
            "deployment ended",
            action="environment:Deploy",
            subject=route_name(place),
            state=state.value,
        )
        previous = book.releases.get(deployment.previous_release_id)
        if state is not DeploymentState.SUCCEEDED and previous is not None:
            await self._take_route(place, previous, None)
        await self._m.database.run(ledger.retire, place, self._m.limits.keep_releases)
        self._m.places.prune(place, await self._m.database.run(ledger.kept_numbers, place))

    # -- instances

    async def _create(self, place: Place, release_id: int, process: str, book: ledger.Book) -> None:
        plan = Configuration.from_document(book.releases[release_id].configuration).plan(place[1])
        address, port = await self._free_address(plan.network.private_range)
        values = {
            "id": new_id("i"),
            "project": place[0],
            "environment": place[1],
            "release_id": release_id,
            "deployment_id": book.deployment.id if book.deployment is not None else None,
            "address": address,
            "port": port,
            "process": process,
        }
        await self._m.database.run(store.insert_instance, values)

    async def _free_address(self, private_range: str) -> tuple[str, int]:
        for address, port in free_addresses(private_range):
            if not await self._m.database.run(store.is_port_used, port):
                return address, port
        raise OSError(f"no free port between {FIRST_PORT} and {LAST_PORT}")

    async def _launch(self, place: Place, row: Any, book: ledger.Book) -> None:
        release = book.releases[row.release_id]
        await self._unpack(place, release)
        seat = await take_seat(self._m, place, row.id, release, row.address, row.port, row.process)
        serving = self._serving(seat, row.process)
        await self._m.places.make_private(place, row.id, serving.files, seat.account)
        await self._m.database.run(store.update_instance, row.id, started_at=self._m.clock.now())
        probe = probe_of_row(row, self._m.routing.host(place), seat.configuration)
        copy = copy_of(row)
        await self._fleet.launch(copy, unit_of(copy.unit_id, seat, serving), probe)

    def _serving(self, seat: Seat, process: str) -> Serving:
        if process == WEB:
            return instance_of(seat, self._m.sealer)
        command = command_of(process, seat.place, seat.configuration)
        # What there is no command for ends at once and says why: the deployment fails with its words.
        missing = f"echo 'halage: no command for {process}, in halage.toml or the Procfile' >&2; exit 78"
        return process_of(seat, self._m.sealer, command or missing)

    async def _move(self, row: Any, state: InstanceState, reason: str) -> None:
        seen = self._fleet.observe(copy_of(row))
        await self._m.database.run(ledger.move, row, state, reason, seen.ready_after_s)

    async def _restart(self, place: Place, row: Any, action: Restart) -> None:
        log.warning("instance restarts", action="environment:Restart", subject=row.id, reason=action.reason)
        await self._m.balancer.remove(route_name(place), row.id)
        await self._m.database.run(ledger.restart, row, action.at, action.strikes, action.reason)
        await self._fleet.stop(copy_of(row), RESTART_GRACE_S)

    async def _route(self, place: Place, row: Any, share: float | None, book: ledger.Book) -> None:
        start = self._m.clock.monotonic()
        # Old and new instances are checked by the path of their own release.
        plan = Configuration.from_document(book.releases[row.release_id].configuration).plan(place[1])
        target = Target(row.id, row.address, row.port, check_path=plan.health.path, share=share)
        await self._m.balancer.add(route_name(place), target)
        seen = self._fleet.observe(copy_of(row))
        seen.in_balancer, seen.share = "serving", share
        elapsed = self._m.clock.monotonic() - start
        deployment_id = book.deployment.id if book.deployment is not None else row.deployment_id
        await self._m.database.run(store.add_phase, deployment_id, "route", elapsed)

    async def _end(self, place: Place, row: Any, book: ledger.Book) -> None:
        copy = copy_of(row)
        configuration = Configuration.from_document(book.releases[row.release_id].configuration)
        start = self._m.clock.monotonic()
        try:
            await self._m.balancer.remove(route_name(place), row.id)
            await self._fleet.stop(copy, configuration.site.run.stop_timeout_s)
        except Exception:
            log.exception("instance could not be ended", action="environment:End", subject=row.id)
            await self._m.clock.sleep(1.0)
        else:
            elapsed = self._m.clock.monotonic() - start
            await self._m.database.insist(ledger.stopped, row, elapsed)
            self._m.places.forget_private(place, row.id)
        self._busy[place].discard(ending(row.id))
        self._wake(place)
