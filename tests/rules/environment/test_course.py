"""How checks and statuses went over time: what fails, what flaps, what is recorded."""

from halage.environment.health.course import FLAPPING_FALLS, Course, Settled, failing_for, go_on, settle
from halage.environment.model import Health, HealthStatus


def _course(*looks: tuple[float, bool]) -> Course | None:
    course: Course | None = None
    for at, is_up in looks:
        course = go_on(course, is_up, at)
    return course


def test_failing_counts_from_the_first_look_that_saw_it() -> None:
    assert failing_for(None, 9) is None
    assert failing_for(_course((0, True), (3, True)), 9) is None
    assert failing_for(_course((0, True), (3, False), (6, False)), 9) == 6
    assert failing_for(_course((0, True), (3, False), (6, True)), 9) is None


def test_one_that_goes_up_and_down_fails_also_while_it_is_up() -> None:
    looks = [(float(10 * n), n % 2 == 0) for n in range(2 * FLAPPING_FALLS + 1)]
    assert not (_course(*looks[:-2]) or Course(True, 0)).is_flapping
    course = _course(*looks)
    assert course is not None and course.is_up and course.is_flapping
    assert failing_for(course, 130) == 130 - 90
    rested = go_on(course, True, 1000)
    assert (rested.is_flapping, failing_for(rested, 1000)) == (False, None)


def _seen(status: str) -> Health:
    return Health(HealthStatus(status), status)


def test_worse_is_recorded_at_once_and_better_once_it_has_held() -> None:
    settled, is_change = settle(None, _seen("ok"), 0)
    assert is_change
    settled, is_change = settle(settled, _seen("degraded"), 3)
    assert (settled.status, is_change) == (HealthStatus.DEGRADED, True)
    settled, is_change = settle(settled, _seen("ok"), 6)
    assert (settled.status, is_change) == (HealthStatus.DEGRADED, False)
    settled, is_change = settle(settled, _seen("degraded"), 9)
    assert (settled, is_change) == (Settled(HealthStatus.DEGRADED), False)
    settled, _ = settle(settled, _seen("warning"), 12)
    settled, is_change = settle(settled, _seen("ok"), 26)
    assert not is_change
    settled, is_change = settle(settled, _seen("ok"), 27)
    assert (settled, is_change) == (Settled(HealthStatus.OK), True)


def test_what_there_is_nothing_to_judge_of_is_recorded_at_once() -> None:
    assert settle(Settled(HealthStatus.NO_DATA), _seen("ok"), 0) == (Settled(HealthStatus.OK), True)
    assert settle(Settled(HealthStatus.SEVERE), _seen("suspended"), 0)[1]
    assert not settle(Settled(HealthStatus.NO_DATA), _seen("no_data"), 0)[1]
