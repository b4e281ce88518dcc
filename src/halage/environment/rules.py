"""What an environment does next. Pure: `decide(situation)` looks at facts and returns actions.

One function serves deployments, rollbacks, restarts after a death, scaling and the quiet days
between: all of them converge on a goal (a release and a number of instances) by the same order, one
instance at a time: start, ready, serving, drain, stop. Each action is idempotent, and what it
decides is recorded before it is done, so a `kill -9` between any two lines leaves a situation
that the next call understands.
"""

from dataclasses import dataclass, field

from halage.environment.model import DeploymentState, InstanceState, TakenOut

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
    """Tell the balancer to send requests to the instance."""

    instance_id: str


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
    | RollBack
    | Finish
    | LookAgain
)


def decide(situation: Situation) -> list[Action]:
    """The actions to take now, in order; an empty list means: wait for news."""
    deployment = situation.deployment
    if deployment is None:
        return _together(_keep(situation), _converge(situation, situation.current_release_id))
    if deployment.state is DeploymentState.RUNNING:
        if (turn := _reason_to_turn(situation, deployment)) is not None:
            return [turn]
        return _together(_keep(situation), _go_forward(situation, deployment))
    return _together(_keep(situation), _go_back(situation, deployment))


def _together(keeping: list[Action], going: list[Action]) -> list[Action]:
    """Both, but nothing is begun for an instance that is let go in the same breath."""
    leaving = {a.instance_id for a in going if isinstance(a, Move) and a.state is InstanceState.STOPPING}
    return [a for a in keeping if getattr(a, "instance_id", None) not in leaving] + going


def back_off_s(strikes: int) -> float:
    """Seconds to wait before an instance that died so many times in a row starts again."""
    return BACK_OFF_S[min(strikes, len(BACK_OFF_S)) - 1] if strikes else 0.0


def _reason_to_turn(situation: Situation, deployment: DeploymentFacts) -> RollBack | None:
    if deployment.failure is not None:
        return RollBack(deployment.failure)
    for instance in _live_of(situation, deployment.release_id):
        if instance.died is not None:
            return RollBack(f"instance {instance.id} {instance.died}", instance.id)
        if instance.unanswered is not None and instance.state is InstanceState.STARTING:
            return RollBack(f"instance {instance.id} {instance.unanswered}", instance.id)
    is_late = situation.now >= deployment.deadline_at
    if is_late and not _is_reached(situation, deployment.release_id):
        return RollBack("the deadline of the deployment is over", _slowest(situation, deployment))
    return None


def _slowest(situation: Situation, deployment: DeploymentFacts) -> str | None:
    for instance in situation.instances:
        if instance.release_id == deployment.release_id and instance.state is InstanceState.STARTING:
            return instance.id
    return None


def _protected(situation: Situation) -> set[int | None]:
    """Releases whose instances are started again when they die."""
    deployment = situation.deployment
    if deployment is None:
        return {situation.current_release_id}
    if deployment.state is DeploymentState.RUNNING:
        return {deployment.release_id, deployment.previous_release_id}
    return {deployment.previous_release_id}


def _keep(situation: Situation) -> list[Action]:
    """What holds at any time: launch what is recorded, replace what died, tell the balancer."""
    protected = _protected(situation)
    actions: list[Action] = []
    for instance in situation.instances:
        actions += _keep_one(situation, instance, instance.release_id in protected)
    return actions


def _keep_one(situation: Situation, instance: InstanceFacts, is_protected: bool) -> list[Action]:
    state = instance.state
    if state is InstanceState.STOPPING:
        return [] if instance.is_ending else [End(instance.id)]
    if state not in LIVE_STATES:
        return []
    if state is InstanceState.STARTING and instance.died is None:
        return _start_one(situation, instance) if is_protected else []
    if instance.died is not None or not instance.is_known:
        return _replace_dead(situation, instance, is_protected)
    if state is InstanceState.SERVING and instance.in_balancer != "serving":
        return [Route(instance.id)]
    if state is InstanceState.DRAINING and instance.in_balancer != "draining":
        return [Drain(instance.id)]
    return []


def _start_one(situation: Situation, instance: InstanceFacts) -> list[Action]:
    if instance.restart_at is not None and situation.now < instance.restart_at:
        return [LookAgain(instance.restart_at - situation.now)]
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
    return [_restart(situation, instance, reason)]


def _restart(situation: Situation, instance: InstanceFacts, reason: str) -> Restart:
    is_serving = instance.state is InstanceState.SERVING
    was_steady = is_serving and situation.now - instance.since >= STEADY_S
    strikes = (
        0 if was_steady or (instance.died is None and instance.unanswered is None) else instance.strikes + 1
    )
    return Restart(instance.id, situation.now + back_off_s(strikes), strikes, reason)


def _go_forward(situation: Situation, deployment: DeploymentFacts) -> list[Action]:
    look = LookAgain(max(deployment.deadline_at - situation.now, 0.0))
    if not deployment.is_prepared:
        return [look] if "prepare" in situation.busy else [Prepare(), look]
    if not deployment.is_released:
        return [look] if "release" in situation.busy else [RunReleaseCommand(), look]
    actions = _converge(situation, deployment.release_id)
    if not actions and _is_reached(situation, deployment.release_id) and _is_quiet(situation):
        return [Finish(DeploymentState.SUCCEEDED)]
    return [*actions, look]


def _go_back(situation: Situation, deployment: DeploymentFacts) -> list[Action]:
    goal = deployment.previous_release_id
    actions = _converge(situation, goal)
    is_back = not _others(situation, goal) and (goal is None or _is_reached(situation, goal))
    if not actions and is_back and _is_quiet(situation):
        return [Finish(DeploymentState.ROLLED_BACK if goal is not None else DeploymentState.FAILED)]
    if situation.now >= deployment.deadline_at:
        return [*actions, Finish(DeploymentState.FAILED)]
    return [*actions, LookAgain(max(deployment.deadline_at - situation.now, 0.0))]


def _live_of(situation: Situation, release_id: int | None) -> list[InstanceFacts]:
    return [
        i
        for i in situation.instances
        if i.release_id == release_id
        and i.state in (InstanceState.STARTING, InstanceState.READY, InstanceState.SERVING)
    ]


def _others(situation: Situation, release_id: int | None) -> list[InstanceFacts]:
    return [i for i in situation.instances if i.release_id != release_id and i.state in LIVE_STATES]


def _is_reached(situation: Situation, release_id: int) -> bool:
    live = _live_of(situation, release_id)
    serving = [i for i in live if i.state is InstanceState.SERVING and i.in_balancer == "serving"]
    return len(live) == len(serving) >= situation.wanted and not _others(situation, release_id)


def _is_quiet(situation: Situation) -> bool:
    return all(i.state is not InstanceState.STOPPING for i in situation.instances)


def _is_rolling_back(situation: Situation) -> bool:
    deployment = situation.deployment
    return deployment is not None and deployment.state is DeploymentState.ROLLING_BACK


def _converge(situation: Situation, goal: int | None) -> list[Action]:
    """One step towards `wanted` serving instances of `goal`, and none of anything else."""
    mine, others = _live_of(situation, goal), _others(situation, goal)
    leaving: list[Action] = _let_go(situation)
    serving = [i for i in mine if i.state is InstanceState.SERVING]
    if unneeded := _unneeded(mine, situation.wanted):
        return [*leaving, *(Move(i.id, InstanceState.STOPPING) for i in unneeded)]
    if ready := [i for i in mine if i.state is InstanceState.READY]:
        return [*leaving, Move(ready[0].id, InstanceState.SERVING)]
    idle = [i for i in others if i.state in (InstanceState.STARTING, InstanceState.READY)]
    if idle and (serving or goal is None or _is_rolling_back(situation)):
        return [*leaving, *(Move(i.id, InstanceState.STOPPING) for i in idle)]
    if leaving:
        return leaving
    others_serving = [i for i in others if i.state is InstanceState.SERVING]
    if others_serving and goal is None:
        return [Move(i.id, InstanceState.DRAINING) for i in others_serving]
    if others_serving and serving and len(serving) + len(others_serving) > situation.wanted:
        return [Move(others_serving[0].id, InstanceState.DRAINING)]
    is_starting = any(i.state is InstanceState.STARTING for i in mine)
    if is_starting and others_serving:
        return []  # one at a time while there is something to protect; else all together
    if goal is not None and len(mine) < situation.wanted:
        return [CreateInstance(goal)]
    if len(serving) > situation.wanted and all(i.died is None and i.is_known for i in serving):
        # Who gets no requests goes first: what visitors reach never falls below what is wanted.
        return [Move(min(serving, key=lambda i: i.is_up).id, InstanceState.DRAINING)]
    return []


def _unneeded(mine: list[InstanceFacts], wanted: int) -> list[InstanceFacts]:
    """Of more instances than are wanted, those that serve nobody yet: the last ones made first."""
    idle = [i for i in mine if i.state is not InstanceState.SERVING]
    # One that keeps dying is no use to wait for.
    idle.sort(key=lambda i: i.strikes > 0)
    surplus = max(len(mine) - wanted, 0)
    return idle[len(idle) - min(surplus, len(idle)) :]


def _let_go(situation: Situation) -> list[Action]:
    """End what has drained; while something drains, look again soon."""
    actions: list[Action] = []
    for instance in situation.instances:
        if instance.state is not InstanceState.DRAINING:
            continue
        is_over = situation.now - instance.since >= situation.drain_timeout_s
        if instance.in_balancer == "draining" and (instance.sessions == 0 or is_over):
            actions.append(Move(instance.id, InstanceState.STOPPING))
        else:
            actions.append(LookAgain(0.05))
    return actions
