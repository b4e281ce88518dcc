"""What decisions about an environment are made of: facts, actions, and what holds at any time. Pure.

`rollout.decide` looks at a situation and returns actions. Each action is idempotent, and what it
decides is recorded before it is done, so a `kill -9` between any two lines leaves a situation that
the next call understands.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from halage.environment.model import DeploymentState, InstanceState, TakenOut
from halage.site.settings import DeploymentPlan, Policy

LIVE_STATES = frozenset(
    {InstanceState.STARTING, InstanceState.READY, InstanceState.SERVING, InstanceState.DRAINING}
)
BACK_OFF_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Wait before the n-th restart in a row of an instance that dies; the last one from then on."""
STEADY_S = 60.0
"""An instance that served for so long starts again at the beginning of the back-off."""


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What is recorded and observed of one instance."""

    id: str
    release_id: int
    state: InstanceState
    strikes: int = 0
    """Deaths in a row without a steady time between them."""
    is_known: bool = False
    """Whether its unit was started (by this control plane or an earlier one)."""
    died: str | None = None
    """How its process ended, in words; None while it lives or was never started."""
    has_answered: bool = False
    unanswered: str | None = None
    """Set once the boot time is over without an answer: why, in words."""
    in_balancer: str | None = None
    """`serving`, `draining` or None: what the balancer was last told."""
    sessions: int = 0
    since: float = 0.0
    """When it entered its state."""
    restart_at: float | None = None
    is_ending: bool = False
    """Its process is being stopped right now."""
    is_up: bool = True
    """Whether the balancer sends it requests, as far as that is known."""
    failing_for_s: float | None = None
    """For how long it has failed its check, or flapped; None: it does not."""
    taken_out: TakenOut | None = None
    """That a person wants it out of the balancer."""
    share: float | None = None
    """Percent of all requests that it gets by lot, as the balancer was last told; None: its turn."""
    check: str = ""
    """Its last check by the balancer, in words."""
    is_protected: bool = False
    """It is not taken away to have fewer."""

    @property
    def serves(self) -> bool:
        """Whether visitors get their answers from it now."""
        is_told = self.state is InstanceState.SERVING and self.in_balancer == "serving"
        return is_told and self.is_up and self.is_known and self.died is None


@dataclass(frozen=True, slots=True)
class Answers:
    """What visitors got from the instances of one release over a time."""

    requests: int
    errors: int
    """Answers of 500 and more."""
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class RolloutFacts:
    """By which policy a deployment goes, and how far it is."""

    policy: Policy = Policy.ROLLING_ADDITIONAL
    plan: DeploymentPlan = DeploymentPlan()
    batch: int = 0
    """The batch under way: 1, 2, 3 ... ; 0 before the first."""
    halted: str | None = None
    """Why it stands still until a person decides; None while it goes on."""
    verdict: str | None = None
    """What the canary was found to be, in words; None while it is judged."""
    new_answers: Answers | None = None
    old_answers: Answers | None = None
    """Since the canary serves; None when nothing is known."""
    has_successor: bool = False
    """Another deployment waits for this one to end."""


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """What is recorded and observed of the deployment under way."""

    id: int
    state: DeploymentState
    release_id: int
    previous_release_id: int | None
    deadline_at: float
    is_prepared: bool = False
    """The release is unpacked."""
    is_released: bool = False
    """Its release command, if any, has succeeded."""
    failure: str | None = None
    """Why preparing or the release command failed, or who stopped it."""
    rollout: RolloutFacts = RolloutFacts()


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a decision is taken from."""

    now: float
    wanted: int
    current_release_id: int | None
    deployment: DeploymentFacts | None = None
    instances: tuple[InstanceFacts, ...] = ()
    drain_timeout_s: float = 30.0
    busy: frozenset[str] = field(default_factory=frozenset)
    """Names of operations under way: `prepare`, `release`."""
    replace_after_s: float | None = None
    """An instance that fails its check for so long is started again; None: none is."""
    keep_old_s: float = 0.0
    """How long instances of the release before are kept running once they are out of the balancer."""
    keeps_dead: bool = False
    """Replacing is suspended: who dies while it serves stays as it is."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Unpack the release of the deployment."""


@dataclass(frozen=True, slots=True)
class RunReleaseCommand:
    """Run the release command of the deployment, once."""


@dataclass(frozen=True, slots=True)
class CreateInstance:
    """Record one more instance of a release."""

    release_id: int
    process: str = "web"


@dataclass(frozen=True, slots=True)
class Launch:
    """Start the recorded instance's process and probe it."""

    instance_id: str


@dataclass(frozen=True, slots=True)
class Move:
    """Record a new state of an instance."""

    instance_id: str
    state: InstanceState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Restart:
    """Record that a dead instance starts again at `at`, as its next attempt."""

    instance_id: str
    at: float
    strikes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """Tell the balancer to send requests to the instance: in its turn, or a share of all by lot."""

    instance_id: str
    share: float | None = None
    """Percent."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Tell the balancer to send no new request to the instance."""

    instance_id: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take the instance out of the balancer; its process goes on."""

    instance_id: str


@dataclass(frozen=True, slots=True)
class End:
    """Take the instance out of the balancer and end its process."""

    instance_id: str


@dataclass(frozen=True, slots=True)
class BeginBatch:
    """Record that the next batch of the deployment begins."""

    number: int


@dataclass(frozen=True, slots=True)
class Judged:
    """Record what the canary was found to be: it goes on."""

    verdict: str


@dataclass(frozen=True, slots=True)
class Halt:
    """Record that the deployment stands still, as it is, until a person decides."""

    reason: str
    instance_id: str | None = None
    """Whose log shows the cause."""


@dataclass(frozen=True, slots=True)
class RollBack:
    """Turn the deployment round."""

    reason: str
    instance_id: str | None = None
    """Whose log shows the cause."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Record the end of the deployment."""

    state: DeploymentState


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Nothing more to do before that many seconds."""

    after_s: float


Action = (
    Prepare
    | RunReleaseCommand
    | CreateInstance
    | Launch
    | Move
    | Restart
    | Route
    | Drain
    | Withdraw
    | End
    | BeginBatch
    | Judged
    | Halt
    | RollBack
    | Finish
    | LookAgain
)


def back_off_s(strikes: int) -> float:
    """Seconds to wait before an instance that died so many times in a row starts again."""
    return BACK_OFF_S[min(strikes, len(BACK_OFF_S)) - 1] if strikes else 0.0


def _protected(situation: Situation) -> set[int | None]:
    """Releases whose instances are started again when they die."""
    deployment = situation.deployment
    if deployment is None:
        return {situation.current_release_id}
    if deployment.state is DeploymentState.RUNNING:
        return {deployment.release_id, deployment.previous_release_id}
    return {deployment.previous_release_id}


def keep(situation: Situation, share_of: Callable[[InstanceFacts], float | None]) -> list[Action]:
    """What holds at any time: launch what is recorded, replace what died, tell the balancer."""
    protected = _protected(situation)
    actions: list[Action] = []
    for instance in situation.instances:
        actions += _keep_one(situation, instance, instance.release_id in protected, share_of(instance))
    return actions


def _keep_one(
    situation: Situation, instance: InstanceFacts, is_protected: bool, share: float | None
) -> list[Action]:
    state = instance.state
    if state is InstanceState.STOPPING:
        return [] if instance.is_ending else [End(instance.id)]
    if state is InstanceState.KEPT:
        return _keep_aside(situation, instance, is_protected)
    if state not in LIVE_STATES:
        return []
    if state is InstanceState.STARTING and instance.died is None:
        return _start_one(situation, instance) if is_protected else []
    if instance.died is not None or not instance.is_known:
        return _replace_dead(situation, instance, is_protected)
    if state is InstanceState.SERVING and (instance.in_balancer, instance.share) != ("serving", share):
        return [Route(instance.id, share)]
    if state is InstanceState.DRAINING and instance.in_balancer != "draining":
        return [Drain(instance.id)]
    return []


def _keep_aside(situation: Situation, instance: InstanceFacts, is_protected: bool) -> list[Action]:
    """One that is kept to go back to: it stays in the balancer, drained, so that it is still checked."""
    if instance.died is not None or not instance.is_known:
        return [Move(instance.id, InstanceState.STOPPING, instance.died or "")]
    # A clock that was set back ends the waiting too.
    rest = instance.since + situation.keep_old_s - situation.now
    is_due = not 0 < rest <= situation.keep_old_s
    if not is_protected if situation.deployment is not None else is_due:
        return [Move(instance.id, InstanceState.STOPPING)]
    if instance.in_balancer != "draining":
        return [Drain(instance.id)]
    return [] if situation.deployment is not None else [LookAgain(rest)]


def _start_one(situation: Situation, instance: InstanceFacts) -> list[Action]:
    rest = instance.restart_at - situation.now if instance.restart_at is not None else 0.0
    if 0 < rest <= BACK_OFF_S[-1]:  # more: the clock was set back since
        return [LookAgain(rest)]
    if not instance.is_known:
        return [Launch(instance.id)]
    if instance.has_answered:
        return [Move(instance.id, InstanceState.READY)]
    if instance.unanswered is not None:
        return [_restart(situation, instance, instance.unanswered)]
    return []


def _replace_dead(situation: Situation, instance: InstanceFacts, is_protected: bool) -> list[Action]:
    reason = instance.died or "was gone when Halage came back"
    if instance.state is InstanceState.DRAINING or not is_protected:
        return [Move(instance.id, InstanceState.STOPPING, reason)]
    if situation.keeps_dead and instance.state is InstanceState.SERVING:
        return []
    return [_restart(situation, instance, reason)]


def _restart(situation: Situation, instance: InstanceFacts, reason: str) -> Restart:
    is_serving = instance.state is InstanceState.SERVING
    was_steady = is_serving and situation.now - instance.since >= STEADY_S
    strikes = (
        0 if was_steady or (instance.died is None and instance.unanswered is None) else instance.strikes + 1
    )
    return Restart(instance.id, situation.now + back_off_s(strikes), strikes, reason)
