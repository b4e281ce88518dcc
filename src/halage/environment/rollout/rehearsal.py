"""A deployment before it begins: the very decisions, played with expected times and nothing else."""

from dataclasses import dataclass, field, replace

from halage.environment.model import DeploymentState, InstanceState
from halage.environment.rollout.decide import decide
from halage.environment.rollout.phases import phase_of
from halage.environment.rules import (
    Action,
    BeginBatch,
    CreateInstance,
    DeploymentFacts,
    Drain,
    End,
    Finish,
    InstanceFacts,
    Judged,
    Launch,
    LookAgain,
    Move,
    Prepare,
    Route,
    RunReleaseCommand,
    Situation,
)

MOST_STEPS = 50_000
"""An hour of canary is looked at 3,600 times; 100 instances one by one take 1,500 steps."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long each thing takes, in seconds; of one instance."""

    prepare_s: float = 1.0
    release_command_s: float = 0.0
    boot_s: float = 3.0
    drain_s: float = 0.5
    stop_s: float = 0.5


@dataclass(frozen=True, slots=True)
class PlannedPhase:
    """One phase of one batch, as it is expected."""

    phase: str
    batch: int
    """0: before the first."""
    begins_s: float
    duration_s: float
    started: int
    stopped: int
    fewest_serving: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a deployment is expected to do."""

    phases: tuple[PlannedPhase, ...]
    fewest_serving: int
    most_running: int
    duration_s: float
    extra_instance_hours: float
    """Beyond those of the wanted number, with what is kept afterwards."""
    kept: int
    """Old instances that stay for a while."""


@dataclass(slots=True)
class _Play:
    """The facts as they would come about."""

    times: Times
    deployment: DeploymentFacts
    situation: Situation
    start: float
    pending: dict[str, tuple[float, dict[str, object]]] = field(default_factory=dict)
    """What happens by itself: at which time an instance's facts change; an empty change ends it."""
    phases: list[PlannedPhase] = field(default_factory=list)
    most_running: int = 0
    extra_s: float = 0.0
    is_over: bool = False
    created: int = 0


def rehearse(situation: Situation, deployment: DeploymentFacts, times: Times) -> Rehearsal:
    """Play a deployment from the situation of now to its end."""
    deployment = replace(deployment, deadline_at=float("inf"))
    play = _Play(times, deployment, situation, situation.now)
    serving_before = _serving(play)
    for _ in range(MOST_STEPS):
        _note(play)
        if play.is_over:
            break
        actions = decide(_facts(play))
        acting = [action for action in actions if not isinstance(action, LookAgain)]
        for action in acting:
            _carry_out(play, action)
        if not acting:
            _pass_time(play, [a.after_s for a in actions if isinstance(a, LookAgain)])
    kept = sum(each.state is InstanceState.KEPT for each in play.situation.instances)
    extra_s = play.extra_s + kept * play.situation.keep_old_s
    return Rehearsal(
        phases=tuple(each for each in play.phases if each.duration_s or each.started or each.stopped),
        fewest_serving=min((each.fewest_serving for each in play.phases), default=serving_before),
        most_running=play.most_running,
        duration_s=play.situation.now - play.start,
        extra_instance_hours=extra_s / 3600,
        kept=kept,
    )


def _facts(play: _Play) -> Situation:
    return replace(play.situation, deployment=play.deployment)


def _serving(play: _Play) -> int:
    return sum(each.serves for each in play.situation.instances)


def _note(play: _Play) -> None:
    """Write down where it stands."""
    phase, batch = phase_of(_facts(play)) or "", play.deployment.rollout.batch
    now, serving = play.situation.now - play.start, _serving(play)
    play.most_running = max(play.most_running, len(play.situation.instances))
    last = play.phases[-1] if play.phases else None
    if last is not None and (last.phase, last.batch) == (phase, batch):
        play.phases[-1] = replace(
            last, duration_s=now - last.begins_s, fewest_serving=min(last.fewest_serving, serving)
        )
        return
    if last is not None:
        play.phases[-1] = replace(last, duration_s=now - last.begins_s)
    play.phases.append(PlannedPhase(phase, batch, now, 0.0, 0, 0, serving))


def _pass_time(play: _Play, looks: list[float]) -> None:
    """Go on to the next thing that happens, or that is looked at."""
    now = play.situation.now
    due = min((at for at, _ in play.pending.values()), default=None)
    if due is None:
        waits = [look for look in looks if 0 < look < float("inf")]
        if not waits:
            play.is_over = True
            return
        due = now + min(waits)
    running = len(play.situation.instances)
    play.extra_s += max(running - play.situation.wanted, 0) * (due - now)
    play.situation = replace(play.situation, now=due)
    for name, (at, change) in list(play.pending.items()):
        if at <= due:
            del play.pending[name]
            _happen(play, name, change)


def _happen(play: _Play, name: str, change: dict[str, object]) -> None:
    if name in ("prepare", "release"):
        play.deployment = replace(play.deployment, **change)  # type: ignore[arg-type]
        play.situation = replace(play.situation, busy=play.situation.busy - {name})
    elif change:
        _change(play, name, **change)
    else:
        others = tuple(each for each in play.situation.instances if each.id != name)
        play.situation = replace(play.situation, instances=others)


def _change(play: _Play, instance_id: str, **values: object) -> None:
    changed = tuple(
        replace(each, **values) if each.id == instance_id else each  # type: ignore[arg-type]
        for each in play.situation.instances
    )
    play.situation = replace(play.situation, instances=changed)


def _carry_out(play: _Play, action: Action) -> None:
    now, times = play.situation.now, play.times
    match action:
        case Prepare():
            _begin(play, "prepare", now + times.prepare_s, is_prepared=True)
        case RunReleaseCommand():
            _begin(play, "release", now + times.release_command_s, is_released=True)
        case BeginBatch(number):
            play.deployment = replace(play.deployment, rollout=replace(play.deployment.rollout, batch=number))
        case Judged(verdict):
            rollout = replace(play.deployment.rollout, verdict=verdict)
            play.deployment = replace(play.deployment, rollout=rollout)
        case Finish(state):
            assert state is DeploymentState.SUCCEEDED, "nothing fails in a rehearsal"
            play.is_over = True
        case CreateInstance(release_id):
            _create(play, release_id)
        case _:
            _carry_out_on_instance(play, action)


def _begin(play: _Play, name: str, at: float, **change: object) -> None:
    play.pending[name] = (at, dict(change))
    play.situation = replace(play.situation, busy=play.situation.busy | {name})


def _create(play: _Play, release_id: int) -> None:
    play.created += 1
    new = InstanceFacts(f"new-{play.created}", release_id, InstanceState.STARTING, since=play.situation.now)
    play.situation = replace(play.situation, instances=(*play.situation.instances, new))
    play.phases[-1] = replace(play.phases[-1], started=play.phases[-1].started + 1)


def _carry_out_on_instance(play: _Play, action: Action) -> None:
    now, times = play.situation.now, play.times
    match action:
        case Launch(instance_id):
            _change(play, instance_id, is_known=True)
            play.pending[instance_id] = (now + times.boot_s, {"has_answered": True})
        case Move(instance_id, state):
            _change(play, instance_id, state=state, since=now)
        case Route(instance_id, share):
            _change(play, instance_id, in_balancer="serving", share=share)
        case Drain(instance_id):
            _change(play, instance_id, in_balancer="draining", sessions=1)
            play.pending[instance_id] = (now + times.drain_s, {"sessions": 0})
        case End(instance_id):
            _change(play, instance_id, is_ending=True, in_balancer=None)
            play.pending[instance_id] = (now + times.stop_s, {})
            play.phases[-1] = replace(play.phases[-1], stopped=play.phases[-1].stopped + 1)
        case _:
            raise AssertionError(f"{action} does not happen in a rehearsal")
