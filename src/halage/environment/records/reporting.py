"""The report of a deployment: its time by phase, and what visitors got before, during and after it."""

from dataclasses import dataclass
from typing import Any

from halage.base.database import Transaction
from halage.environment.model import Deployment
from halage.environment.records import orders
from halage.environment.rollout.traffic import Served, Traffic
from halage.environment.tables import rollouts
from halage.environment.tables.store import Place

BESIDE_S = 300.0
"""How long a time before and after it is looked at."""


@dataclass(frozen=True, slots=True)
class TimedPhase:
    """One phase of one batch, as it was."""

    phase: str
    batch: int
    began_at: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class CourseRows:
    """What is recorded of a deployment's course."""

    deployment: Deployment
    rollout: Any | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a deployment did. What is not measured is None; `after` grows until its time is over."""

    deployment: Deployment
    policy: str | None
    """None: it did not begin, or it ended before there were policies."""
    batch: int
    verdict: str | None
    """Of the canary."""
    phases: tuple[TimedPhase, ...]
    before: Served | None
    during: Served | None
    after: Served | None


def read_course(tx: Transaction, deployment_id: int) -> CourseRows:
    """What is recorded of a deployment. Raises NoSuchDeployment."""
    return CourseRows(orders.deployment_of(tx, deployment_id), rollouts.rollout_row(tx, deployment_id))


async def make_report(course: CourseRows, traffic: Traffic, now: float) -> Report:
    """The report as far as it is known now."""
    deployment, rollout = course.deployment, course.rollout
    place: Place = (deployment.project, deployment.environment)
    began, ended = deployment.started_at, deployment.finished_at or now
    before = during = after = None
    if began is not None:
        before = await traffic.of_environment(place, began - BESIDE_S, began)
        during = await traffic.of_environment(place, began, max(ended, began + 1))
        if deployment.finished_at is not None:
            after = await traffic.of_environment(place, ended, max(min(ended + BESIDE_S, now), ended + 1))
    return Report(
        deployment=deployment,
        policy=rollout.policy if rollout is not None else None,
        batch=rollout.batch if rollout is not None else 0,
        verdict=rollout.verdict if rollout is not None else None,
        phases=timed(rollout.timeline if rollout is not None else [], ended),
        before=before,
        during=during,
        after=after,
    )


def timed(timeline: list[Any], ended: float) -> tuple[TimedPhase, ...]:
    """The phases with their durations: each lasts until the next begins, the last one until `ended`."""
    ends = [*(entry[2] for entry in timeline[1:]), ended]
    return tuple(
        TimedPhase(phase, batch, at, max(end - at, 0.0))
        for (phase, batch, at), end in zip(timeline, ends, strict=True)
    )
