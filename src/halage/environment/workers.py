"""What to do about kinds of processes other than `web`: they get no request, so nothing is routed or drained.

They run the release that is current. In a deployment the new release's start once its web instances
serve, and the deployment succeeds only when they run as well; those of the old release go on until then.
Pure.
"""

from dataclasses import dataclass

from halage.environment.model import InstanceState
from halage.environment.rules import (
    LIVE_STATES,
    STEADY_S,
    Action,
    CreateInstance,
    End,
    InstanceFacts,
    Launch,
    LookAgain,
    Move,
    Restart,
    back_off_s,
)

RUNNING_STATES = (InstanceState.STARTING, InstanceState.READY, InstanceState.SERVING)


@dataclass(frozen=True, slots=True)
class FailProof:
    """Note that the deployment cannot go on: its workers do not run."""

    reason: str
    instance_id: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerSituation:
    """Everything that a decision about one kind of process is taken from."""

    now: float
    process: str
    goal: int | None
    """The release that is current, or that is returned to."""
    wanted: int
    """Of the goal."""
    proving: int | None = None
    """The release of a deployment whose web instances serve already."""
    proving_wanted: int = 0
    instances: tuple[InstanceFacts, ...] = ()
    keeps_dead: bool = False
    """Replacing is suspended: who dies stays as it is."""


def decide_workers(situation: WorkerSituation) -> list[Action | FailProof]:
    """The actions to take now, in order; an empty list means: wait for news."""
    actions: list[Action | FailProof] = []
    for instance in situation.instances:
        actions += _keep_one(situation, instance)
    if any(isinstance(action, FailProof) for action in actions):
        return actions
    actions += _converge(situation, situation.goal, situation.wanted)
    if situation.proving is not None and situation.proving != situation.goal:
        actions += _converge(situation, situation.proving, situation.proving_wanted)
    return actions


def are_proven(situation: WorkerSituation) -> bool:
    """Whether as many workers of the release under proof run as shall."""
    running = [
        each
        for each in situation.instances
        if each.release_id == situation.proving
        and each.state is InstanceState.SERVING
        and each.died is None
        and each.is_known
    ]
    return len(running) >= situation.proving_wanted


def _keep_one(situation: WorkerSituation, instance: InstanceFacts) -> list[Action | FailProof]:
    state = instance.state
    if state is InstanceState.STOPPING:
        return [] if instance.is_ending else [End(instance.id)]
    if state not in LIVE_STATES:
        return []
    if instance.release_id not in (situation.goal, situation.proving):
        return [Move(instance.id, InstanceState.STOPPING)]
    is_proof = instance.release_id == situation.proving != situation.goal
    if instance.died is not None and is_proof:
        return [FailProof(f"{situation.process} {instance.id} {instance.died}", instance.id)]
    if state is InstanceState.STARTING and instance.died is None:
        return _start_one(situation, instance)
    if instance.died is not None or not instance.is_known:
        if situation.keeps_dead and state is InstanceState.SERVING:
            return []
        return [_restart(situation, instance)]
    return [Move(instance.id, InstanceState.SERVING)] if state is InstanceState.READY else []


def _start_one(situation: WorkerSituation, instance: InstanceFacts) -> list[Action | FailProof]:
    if instance.restart_at is not None and situation.now < instance.restart_at:
        return [LookAgain(instance.restart_at - situation.now)]
    if not instance.is_known:
        return [Launch(instance.id)]
    return [Move(instance.id, InstanceState.READY)] if instance.has_answered else []


def _restart(situation: WorkerSituation, instance: InstanceFacts) -> Restart:
    is_serving = instance.state is InstanceState.SERVING
    was_steady = is_serving and situation.now - instance.since >= STEADY_S
    strikes = 0 if was_steady or instance.died is None else instance.strikes + 1
    reason = instance.died or "was gone when Halage came back"
    return Restart(instance.id, situation.now + back_off_s(strikes), strikes, reason)


def _converge(situation: WorkerSituation, release_id: int | None, wanted: int) -> list[Action | FailProof]:
    """As many as are wanted of one release: the others are no use to wait for."""
    if release_id is None:
        return []
    live = [
        each for each in situation.instances if each.release_id == release_id and each.state in RUNNING_STATES
    ]
    if len(live) < wanted:
        missing = wanted - len(live)
        return [CreateInstance(release_id, situation.process) for _ in range(missing)]
    # Who does not run goes first, then the youngest: what has run for long has shown that it does.
    spare = [each for each in live if not each.is_protected]
    spare.sort(key=lambda each: (each.state is InstanceState.SERVING and each.died is None, -each.since))
    return [Move(each.id, InstanceState.STOPPING) for each in spare[: len(live) - wanted]]
