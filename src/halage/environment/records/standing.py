"""From rows and observations to the signs that health is derived from: one way for all who ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from halage.balancer.model import TargetState, TargetStatus
from halage.environment.autoscaling.model import WEB
from halage.environment.health.course import failing_for
from halage.environment.health.rules import DeploymentSigns, InstanceSigns, Signs
from halage.environment.instances.vitals import Vitals
from halage.environment.model import DeploymentState, InstanceState, TakenOut
from halage.environment.tables.store import Place
from halage.monitor.collect.model import Requests
from halage.site.model import EnvironmentPlan
from halage.site.settings import AllUnhealthy

Statuses = Mapping[str, TargetStatus]
"""What the balancer says of targets, by instance."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is recorded of an environment, as far as its health depends on it."""

    place: Place
    plan: EnvironmentPlan | None
    """Of its current release; None before the first."""
    wanted: int
    release_id: int | None
    """The current one."""
    instances: Sequence[Any]
    """Their rows, those of workers too."""
    numbers: Mapping[int, int]
    """Releases' numbers, by id."""
    deployment: Any | None
    """The row of the one under way, else of the last one."""

    @property
    def web(self) -> list[Any]:
        """The rows of those that get requests: health is about them."""
        return [row for row in self.instances if row.process == WEB]

    @property
    def workers(self) -> list[Any]:
        """The rows of the others, which no check of the balancer is about."""
        return [row for row in self.instances if row.process != WEB]


def taken_out_of(row: Any) -> TakenOut | None:
    """Who took an instance out, of its row."""
    return TakenOut(**row.taken_out) if row.taken_out else None


def signs_of(standing: Standing, statuses: Statuses | None, vitals: Vitals | None) -> Signs:
    """The signs of an environment. `statuses` None: the balancer does not answer."""
    plan = standing.plan or EnvironmentPlan(standing.place[1])
    recent = vitals.requests_of(standing.place) if vitals is not None else None
    return Signs(
        wanted=standing.wanted,
        release=standing.numbers.get(standing.release_id) if standing.release_id is not None else None,
        instances=[_instance(row, standing, statuses or {}, vitals, recent or {}) for row in standing.web],
        workers=worker_signs(standing, vitals),
        balancer_answers=statuses is not None,
        recent=recent.get(None) if recent is not None else None,
        gone_errors=_errors_of_gone(standing, recent or {}),
        deployment=_deployment(standing),
        rules=plan.health_rules,
        fails_open=plan.balancer.all_unhealthy is AllUnhealthy.FAIL_OPEN,
    )


def _errors_of_gone(standing: Standing, recent: Mapping[str | None, Requests]) -> int:
    there = {row.id for row in standing.web}
    return sum(each.errors for name, each in recent.items() if name is not None and name not in there)


def worker_signs(standing: Standing, vitals: Vitals | None) -> list[InstanceSigns]:
    """What is observed of its workers."""
    return [_instance(row, standing, {}, vitals, {}) for row in standing.workers]


def _instance(
    row: Any,
    standing: Standing,
    statuses: Statuses,
    vitals: Vitals | None,
    recent: Mapping[str | None, Requests],
) -> InstanceSigns:
    status = statuses.get(row.id)
    course = vitals.course_of(row) if vitals is not None else None
    is_up = status is not None and status.state is TargetState.UP
    return InstanceSigns(
        id=row.id,
        state=InstanceState(row.state),
        release=standing.numbers.get(row.release_id, 0),
        is_up=is_up,
        check=status.last_check if status is not None else "",
        reason=row.reason,
        attempt=row.attempt,
        failing_for_s=failing_for(course, vitals.now()) if vitals is not None and not is_up else None,
        is_flapping=course is not None and course.is_flapping,
        falls=len(course.falls) if course is not None else 0,
        cpu_percent=vitals.cpu_percent(row) if vitals is not None else None,
        memory_percent=vitals.memory_percent(row) if vitals is not None else None,
        recent=recent.get(row.id),
        taken_out=taken_out_of(row),
    )


def _deployment(standing: Standing) -> DeploymentSigns | None:
    row = standing.deployment
    if row is None:
        return None
    number = standing.numbers.get(row.release_id, 0)
    return DeploymentSigns(row.id, DeploymentState(row.state), number, row.reason)
