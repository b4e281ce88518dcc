"""How an instance's check, and an environment's status, went over time, so that neither flaps. Pure.

Times are of a clock that never goes back (seconds).
"""

from dataclasses import dataclass

from halage.environment.health.rules import grave
from halage.environment.model import Health, HealthStatus

FLAPPING_FALLS = 5
"""An instance that began to fail its check so often within FLAPPING_S flaps, and counts as failing."""
FLAPPING_S = 600.0
SETTLED_S = 15.0
"""A better status is recorded once it has held for so long; a worse one at once."""
_OUTSIDE = (HealthStatus.NO_DATA, HealthStatus.SUSPENDED, HealthStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Course:
    """What the check of an instance said until now."""

    is_up: bool
    since: float
    """Since when it says so."""
    falls: tuple[float, ...] = ()
    """When it began to fail, within FLAPPING_S."""

    @property
    def is_flapping(self) -> bool:
        """Whether it goes up and down so often that being up means nothing."""
        return len(self.falls) >= FLAPPING_FALLS


def go_on(course: Course | None, is_up: bool, now: float) -> Course:
    """The course after one more look."""
    falls = tuple(at for at in course.falls if now - at < FLAPPING_S) if course is not None else ()
    if course is not None and course.is_up == is_up:
        return Course(is_up, course.since, falls)
    return Course(is_up, now, falls if is_up else (*falls, now))


def failing_for(course: Course | None, now: float) -> float | None:
    """For how long an instance has failed; None while it does not. One that flaps fails since it began to."""
    if course is None:
        return None
    if course.is_flapping:
        return now - course.falls[FLAPPING_FALLS - 1]
    return None if course.is_up else now - course.since


@dataclass(frozen=True, slots=True)
class Settled:
    """The status that is recorded of an environment, and since when a better one is seen."""

    status: HealthStatus
    better_since: float | None = None


def settle(settled: Settled | None, health: Health, now: float) -> tuple[Settled, bool]:
    """What is recorded from now on, and whether that is a change."""
    seen = health.status
    if settled is None or settled.status in _OUTSIDE or seen in _OUTSIDE:
        return Settled(seen), settled is None or settled.status is not seen
    if grave(seen) < grave(settled.status):
        return Settled(seen), True
    if seen is settled.status:
        return Settled(seen), False
    since = now if settled.better_since is None else settled.better_since
    if now - since >= SETTLED_S:
        return Settled(seen), True
    return Settled(settled.status, since), False
