"""How an environment is, and why: a status with its causes, from what is observed. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from halage.environment.model import (
    Cause,
    DeploymentState,
    Health,
    HealthStatus,
    InstanceState,
    TakenOut,
)
from halage.monitor.collect.model import Requests
from halage.site.settings import HealthRules

SEVERE_ERRORS_PERCENT = 50.0
"""From that share of failed requests on, what degrades an environment is severe."""
STANDS_OUT = 1.5
"""An instance is to blame for latency when its p95 is that many times the next one's."""
_GRAVITY = {status: place for place, status in enumerate(HealthStatus)}


@dataclass(frozen=True, slots=True)
class InstanceSigns:
    """What is observed of one instance."""

    id: str
    state: InstanceState
    release: int
    """The number of its release."""
    is_up: bool = False
    check: str = ""
    reason: str = ""
    attempt: int = 1
    failing_for_s: float | None = None
    """For how long it has failed its check; None: it does not, or that is not known."""
    is_flapping: bool = False
    falls: int = 0
    """How often it began to fail its check lately."""
    cpu_percent: float | None = None
    memory_percent: float | None = None
    recent: Requests | None = None
    taken_out: TakenOut | None = None

    @property
    def is_serving(self) -> bool:
        """Whether it shall get requests."""
        return self.state is InstanceState.SERVING and self.taken_out is None


@dataclass(frozen=True, slots=True)
class DeploymentSigns:
    """The deployment under way, else the last one."""

    id: int
    state: DeploymentState
    release: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Signs:
    """Everything that the health of an environment is derived from."""

    wanted: int
    """Instances that shall serve; those that were taken out and not replaced among them."""
    release: int | None
    """The number of its current release; None before the first."""
    instances: Sequence[InstanceSigns] = ()
    """Those that get requests."""
    workers: Sequence[InstanceSigns] = ()
    balancer_answers: bool = True
    recent: Requests | None = None
    gone_errors: int = 0
    """Answers with 5xx among them that instances made which are gone by now."""
    deployment: DeploymentSigns | None = None
    rules: HealthRules = field(default_factory=HealthRules)
    fails_open: bool = False
    """Whether requests go to all instances when none passes its check."""

    @property
    def is_deploying(self) -> bool:
        """Whether a deployment is under way."""
        return self.deployment is not None and self.deployment.state in (
            DeploymentState.RUNNING,
            DeploymentState.ROLLING_BACK,
        )

    @property
    def up(self) -> list[InstanceSigns]:
        """The instances that get requests and answer their check."""
        return [i for i in self.instances if i.is_serving and i.is_up]

    @property
    def needed(self) -> int:
        """Instances that are missed when they are not up: one that was taken out leaves a gap on purpose."""
        held = [
            i
            for i in self.instances
            if i.taken_out is not None and not i.taken_out.replace and i.release == self.release
        ]
        return max(self.wanted - len(held), 0)


def derive(signs: Signs) -> Health:
    """The health of an environment. Its status is that of its gravest cause."""
    if signs.release is None:
        under_way = signs.is_deploying or bool(signs.instances)
        return Health(
            HealthStatus.NO_DATA,
            "the first deployment is under way" if under_way else "nothing has been deployed here yet",
        )
    if not signs.balancer_answers:
        words = "the balancer does not answer; it is being started again"
        return Health(HealthStatus.SEVERE, words, (Cause("balancer", HealthStatus.SEVERE, words),))
    if not signs.needed and not signs.up:
        words = "no instance shall serve: all were taken out" if signs.wanted else "no instance shall serve"
        return Health(HealthStatus.SUSPENDED, words, tuple(_taken_out(signs)))
    causes = sorted(
        (each for find in _FINDERS for each in find(signs)), key=lambda cause: grave(cause.status)
    )
    status = causes[0].status if causes else HealthStatus.OK
    return Health(status, _summary(signs, causes), tuple(causes))


def grave(status: HealthStatus) -> int:
    """The place of a status in the order of gravity: 0 is the gravest."""
    return _GRAVITY[status]


def _summary(signs: Signs, causes: Sequence[Cause]) -> str:
    up = len(signs.up)
    shortage = next((cause for cause in causes if cause.kind in _SHORTAGES), None)
    if not up:
        return f"no instance is up: {shortage.text if shortage else 'instances are missing'}"
    if causes and grave(causes[0].status) < grave(HealthStatus.INFO) and causes[0] is not shortage:
        return causes[0].text
    if up < signs.needed:
        return f"{up} of {_count(signs.needed)} up: {shortage.text if shortage else 'instances are missing'}"
    return f"{_count(up)} up" + (f"; {causes[0].text}" if causes else "")


def _count(number: int) -> str:
    return "1 instance" if number == 1 else f"{number} instances"


_SHORTAGES = ("failing", "starting", "missing")


# -- who serves


def _shortage(signs: Signs) -> Iterator[Cause]:
    """Why fewer are up than shall be; an instance that fails its check is told in any case."""
    up, needed = len(signs.up), signs.needed
    status = _status_of_shortage(signs)
    found = [*_failing(signs, status), *_starting(signs, status)]
    if not up:
        page = (
            "requests go to all of them all the same" if signs.fails_open else "visitors get the error page"
        )
        yield Cause("none_up", HealthStatus.SEVERE, f"no instance passes its check: {page}")
    if up < needed and len(found) < needed - up:
        missing = needed - up - len(found)
        words = "1 instance is missing" if missing == 1 else f"{missing} instances are missing"
        figures = {"wanted": float(needed), "up": float(up)}
        found.append(Cause("missing", status, words, figures=figures))
    yield from found


def _status_of_shortage(signs: Signs) -> HealthStatus:
    up, needed = len(signs.up), signs.needed
    if not up:
        return HealthStatus.SEVERE
    if up * 2 < needed:
        return HealthStatus.DEGRADED
    is_failing = any(i.is_serving and not i.is_up for i in signs.instances)
    has_died = any(i.state is InstanceState.STARTING and i.reason for i in signs.instances)
    if signs.is_deploying and not is_failing and not has_died:
        return HealthStatus.INFO  # the way of the deployment
    return HealthStatus.WARNING


def _failing(signs: Signs, status: HealthStatus) -> Iterator[Cause]:
    for i in signs.instances:
        if not i.is_serving or i.is_up:
            continue
        last = i.check or "not checked yet"
        if i.failing_for_s is None or i.failing_for_s < 1.0:
            yield Cause("failing", status, f"{i.id} fails its check ({last})", i.id)
            continue
        words = f"{i.id} fails its check for {i.failing_for_s:.0f} s ({last})"
        yield Cause("failing", status, words, i.id, {"for_s": round(i.failing_for_s, 1)})


def _starting(signs: Signs, status: HealthStatus) -> Iterator[Cause]:
    if len(signs.up) >= signs.needed:
        return
    for i in signs.instances:
        if i.state in (InstanceState.STARTING, InstanceState.READY):
            yield Cause("starting", status, _starting_words(i), i.id)


def _starting_words(i: InstanceSigns) -> str:
    after = f" after it {i.reason}" if i.reason else ""
    again = f", for the {i.attempt}. time" if i.attempt > 2 else ""
    return f"{i.id} is starting{after}{again}"


def _workers(signs: Signs) -> Iterator[Cause]:
    """Workers that died: visitors do not miss them at once, what waits for them does."""
    for i in signs.workers:
        if i.state is InstanceState.STARTING and i.reason:
            yield Cause("worker", HealthStatus.WARNING, f"worker {_starting_words(i)}", i.id)


def _flapping(signs: Signs) -> Iterator[Cause]:
    for i in signs.instances:
        if i.is_serving and i.is_flapping:
            words = f"{i.id} began to fail its check {i.falls} times within 10 minutes"
            yield Cause("flapping", HealthStatus.WARNING, words, i.id, {"falls": float(i.falls)})


def _taken_out(signs: Signs) -> Iterator[Cause]:
    for i in signs.instances:
        if i.taken_out is not None:
            is_out = i.state is InstanceState.TAKEN_OUT
            words = f"{i.id} {'was' if is_out else 'is being'} taken out by {i.taken_out.by}"
            yield Cause("taken_out", HealthStatus.INFO, words, i.id)


def _wrong_release(signs: Signs) -> Iterator[Cause]:
    if signs.is_deploying:
        return
    for i in signs.instances:
        if i.is_serving and i.release != signs.release:
            words = f"{i.id} serves release v{i.release}, the environment is at v{signs.release}"
            figures = {"release": float(i.release)}
            yield Cause("release", HealthStatus.WARNING, words, i.id, figures)


def _deployment(signs: Signs) -> Iterator[Cause]:
    deployment = signs.deployment
    if deployment is None:
        return
    which, why = f"v{deployment.release}", f": {deployment.reason}" if deployment.reason else ""
    told = {
        DeploymentState.RUNNING: (HealthStatus.INFO, f"{which} is being deployed"),
        DeploymentState.ROLLING_BACK: (HealthStatus.WARNING, f"{which} is being rolled back{why}"),
        DeploymentState.ROLLED_BACK: (
            HealthStatus.INFO,
            f"the last deployment ({which}) was rolled back{why}",
        ),
        DeploymentState.FAILED: (HealthStatus.WARNING, f"the last deployment ({which}) failed{why}"),
    }
    if deployment.state in told:
        status, words = told[deployment.state]
        yield Cause("deployment", status, words, figures={"deployment": float(deployment.id)})


# -- what they answer


def _level(value: float, warn: float | None, degrade: float | None) -> HealthStatus | None:
    if degrade is not None and value >= degrade:
        return HealthStatus.DEGRADED
    if warn is not None and value >= warn:
        return HealthStatus.WARNING
    return None


def _share(part: int, recent: Requests) -> float:
    return part / recent.count * 100 if recent.count else 0.0


def _errors(signs: Signs) -> Iterator[Cause]:
    recent, rules = signs.recent, signs.rules
    blamed: str | None = None
    if recent is not None and recent.count >= rules.least_requests and recent.errors:
        share = _share(recent.errors, recent)
        status = _level(share, rules.warn_errors_percent, rules.degrade_errors_percent)
        if status is HealthStatus.DEGRADED and share >= SEVERE_ERRORS_PERCENT:
            status = HealthStatus.SEVERE
        if status is not None:
            blamed, words = _blame(signs, recent.errors)
            sentence = f"{share:.3g}% of {recent.count} requests in the last minute failed (5xx){words}"
            figures = {"share_percent": round(share, 3), "requests": float(recent.count)}
            yield Cause("errors", status, sentence, blamed, {**figures, "errors": float(recent.errors)})
    for i in signs.instances:
        if not i.is_serving or i.recent is None or i.id == blamed:
            continue
        share = _share(i.recent.errors, i.recent)
        if i.recent.count >= rules.least_requests and share >= rules.degrade_errors_percent:
            sentence = f"{i.id} failed {share:.3g}% of its {i.recent.count} requests in the last minute"
            figures = {"share_percent": round(share, 3), "requests": float(i.recent.count)}
            yield Cause("errors", HealthStatus.WARNING, sentence, i.id, figures)


def _blame(signs: Signs, errors: int) -> tuple[str | None, str]:
    """Who made most of the errors, if somebody did, and that in words."""
    made = {i.id: i.recent.errors for i in signs.instances if i.recent is not None}
    gone = signs.gone_errors
    nobody = errors - gone - sum(made.values())
    worst = max(made, key=lambda name: made[name], default=None)
    if nobody * 2 >= errors:
        return None, f", {nobody} of them reached no instance"
    if gone * 2 >= errors:
        return None, f", {gone} of them by instances that are gone"
    if worst is not None and made[worst] * 2 >= errors and len(signs.up) > 1:
        return worst, f", {made[worst]} of {errors} at {worst}"
    return None, ""


def _client_errors(signs: Signs) -> Iterator[Cause]:
    recent, rules = signs.recent, signs.rules
    if recent is None or recent.count < rules.least_requests:
        return
    share = _share(recent.client_errors, recent)
    if (status := _level(share, rules.warn_client_errors_percent, None)) is not None:
        words = f"{share:.3g}% of {recent.count} requests in the last minute were refused (4xx)"
        figures = {"share_percent": round(share, 3), "requests": float(recent.count)}
        yield Cause("client_errors", status, words, figures=figures)


def _latency(signs: Signs) -> Iterator[Cause]:
    recent, rules = signs.recent, signs.rules
    if recent is None or recent.count < rules.least_requests or recent.p95_ms is None:
        return
    status = _level(recent.p95_ms, rules.warn_p95_ms, rules.degrade_p95_ms)
    if status is None:
        return
    is_degraded = status is HealthStatus.DEGRADED
    limit = rules.degrade_p95_ms if is_degraded else rules.warn_p95_ms
    slowest = _slowest(signs)
    where = f", slowest at {slowest}" if slowest else ""
    words = f"1 request in 20 took over {recent.p95_ms:.0f} ms in the last minute (p95){where}"
    figures = {"value": round(recent.p95_ms, 1), "threshold": limit or 0.0, "requests": float(recent.count)}
    yield Cause("latency", status, words, slowest, figures)


def _slowest(signs: Signs) -> str | None:
    times = sorted(
        ((i.recent.p95_ms, i.id) for i in signs.instances if i.recent and i.recent.p95_ms is not None),
        reverse=True,
    )
    if len(times) > 1 and times[0][0] >= STANDS_OUT * times[1][0]:
        return times[0][1]
    return None


# -- what they use


def _resources(signs: Signs) -> Iterator[Cause]:
    rules = signs.rules
    for i in (*signs.instances, *signs.workers):
        if not i.is_serving:
            continue
        for kind, used, limit, of in (
            ("cpu", i.cpu_percent, rules.warn_cpu_percent, "the processor time of its type"),
            ("memory", i.memory_percent, rules.warn_memory_percent, "the memory of its type"),
        ):
            if used is not None and used >= limit:
                figures = {"value": round(used, 1), "threshold": limit}
                yield Cause(kind, HealthStatus.WARNING, f"{i.id} uses {used:.0f}% of {of}", i.id, figures)


_FINDERS: tuple[Callable[[Signs], Iterator[Cause]], ...] = (
    _shortage,
    _errors,
    _latency,
    _client_errors,
    _flapping,
    _workers,
    _resources,
    _wrong_release,
    _deployment,
    _taken_out,
)
