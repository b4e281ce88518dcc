"""Records how many instances an environment shall have, whatever halage.toml says. One transaction each."""

from dataclasses import dataclass
from typing import Any

from halage.base.database import Transaction
from halage.base.errors import Invalid, NotFound
from halage.environment.autoscaling.model import WEB, Limits
from halage.environment.autoscaling.rules import is_active
from halage.environment.autoscaling.timetable import limits_at
from halage.environment.configuration import Configuration
from halage.environment.errors import NothingDeployed
from halage.environment.records import orders
from halage.environment.tables import scaling_store, store
from halage.environment.tables.store import Place
from halage.site.model import EnvironmentPlan

MOST_INSTANCES = 100


@dataclass(frozen=True, slots=True)
class Scaled:
    """What became of a wish: how many instances there were to be, and how many from now on."""

    before: int
    after: int


def scale(tx: Transaction, place: Place, instances: int | None, actor: str, reason: str = "") -> Scaled:
    """Let an environment have so many instances; None: as many as halage.toml says.

    Raises Invalid for a number that cannot be, NoSuchEnvironment. The same number again changes
    nothing and is not noted.
    """
    if instances is not None and not 1 <= instances <= MOST_INSTANCES:
        raise Invalid(
            f"an environment has from 1 to {MOST_INSTANCES} instances, not {instances}", instances=instances
        )
    rows = orders.rows_of(tx, place)
    planned = _planned(rows)
    if instances is not None:
        _check_limits(rows, _limits(tx, rows), instances)
    held = rows.environment.instances
    before, after = (planned if number is None else number for number in (held, instances))
    if held != instances:
        store.update_environment(tx, place, instances=instances)
        _remember(tx, place, WEB, before, after)
        extra = {"reason": reason} if reason else {}
        _note(tx, place, actor, (before, held), (after, instances), extra)
    return Scaled(before, after)


def scale_process(tx: Transaction, place: Place, process: str, instances: int | None, actor: str) -> Scaled:
    """The same for the workers of one kind, which may be none. Raises Invalid, NotFound."""
    if instances is not None and not 0 <= instances <= MOST_INSTANCES:
        raise Invalid(
            f"a kind of process has from 0 to {MOST_INSTANCES} instances, not {instances}",
            instances=instances,
        )
    rows = orders.rows_of(tx, place)
    plan = _plan(rows)
    kind = next((each for each in plan.processes if each.name == process), None) if plan else None
    if kind is None:
        named = ", ".join(each.name for each in plan.processes) if plan and plan.processes else "none"
        raise NotFound(f"{place[0]} {place[1]} runs no {process}; beside web it runs: {named}")
    if instances is not None and kind.scaling is not None and is_active(kind.scaling):
        _check_limits(rows, limits_at(kind.scaling, kind.planned, tx.now), instances)
    state = scaling_store.state_rows(tx, place).get(process)
    held = state.instances if state is not None else None
    before, after = (kind.planned if number is None else number for number in (held, instances))
    if held != instances:
        scaling_store.put_state(tx, place, process, instances=instances)
        _remember(tx, place, process, before, after)
        _note(tx, place, actor, (before, held), (after, instances), {"process": process})
    return Scaled(before, after)


def scale_deployed(tx: Transaction, place: Place, instances: int, actor: str, reason: str) -> Scaled:
    """The same where something runs, within the limits that its scaling has.

    Raises NothingDeployed where there is nothing to have more of.
    """
    rows = orders.rows_of(tx, place)
    if rows.environment.current_release_id is None:
        raise NothingDeployed(f"nothing has been deployed to {place[0]} {place[1]} yet: nothing was scaled")
    if (limits := _limits(tx, rows)) is not None:
        instances = min(max(instances, limits.minimum), limits.maximum)
    return scale(tx, place, instances, actor, reason)


def _limits(tx: Transaction, rows: store.EnvironmentRows) -> Limits | None:
    """The limits that hold now; None where nothing sets any."""
    plan = _plan(rows)
    if plan is None or not is_active(plan.scaling):
        return None
    return limits_at(plan.scaling, plan.scaling.within(plan.instances), tx.now, least=1)


def _plan(rows: store.EnvironmentRows) -> EnvironmentPlan | None:
    """The plan of the release that is current; None before the first one."""
    current: Any = rows.releases.get(rows.environment.current_release_id)
    if current is None:
        return None
    return Configuration.from_document(current.configuration).plan(rows.environment.name)


def _check_limits(rows: store.EnvironmentRows, limits: Limits | None, instances: int) -> None:
    """Raise Invalid for a number that scaling would take back at once."""
    if limits is None or limits.minimum <= instances <= limits.maximum:
        return
    raise Invalid(
        f"{rows.environment.project} {rows.environment.name} has from {limits.minimum} to {limits.maximum} "
        f"instances (scaling.minimum, scaling.maximum, the schedule), not {instances}: change those first",
        instances=instances,
        minimum=limits.minimum,
        maximum=limits.maximum,
    )


def _remember(tx: Transaction, place: Place, process: str, before: int, after: int) -> None:
    """What people and alarms change begins a cool-down as well: triggers do not undo it at once."""
    if after != before:
        stamp = "out_at" if after > before else "in_at"
        scaling_store.put_state(tx, place, process, **{stamp: tx.now})


def wanted(rows: store.EnvironmentRows) -> int:
    """How many instances there are to be now."""
    held = rows.environment.instances
    return _planned(rows) if held is None else int(held)


def _planned(rows: store.EnvironmentRows) -> int:
    """What halage.toml says; before the first release, what the environment was made with."""
    plan = _plan(rows)
    return (
        int(rows.environment.plan.get("instances", 1))
        if plan is None
        else plan.scaling.within(plan.instances)
    )


def _note(
    tx: Transaction,
    place: Place,
    actor: str,
    before: tuple[int, int | None],
    after: tuple[int, int | None],
    extra: dict[str, str],
) -> None:
    """Tell the journal: how many there were and are, and what people asked for (None: nothing)."""
    tx.record(
        "environment:Scale",
        actor=actor,
        subject=f"project/{place[0]}/environment/{place[1]}",
        project=place[0],
        before={"instances": before[0], "is_scaled": before[1] is not None},
        after={"instances": after[0], "is_scaled": after[1] is not None},
        **extra,
    )
