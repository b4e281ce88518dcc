"""What is done with instances that fail and with those that people took out, over what is decided. Pure."""

from dataclasses import replace

from halage.environment.model import DeploymentState, InstanceState
from halage.environment.rollout.decide import decide
from halage.environment.rules import (
    STEADY_S,
    Action,
    Drain,
    End,
    InstanceFacts,
    LookAgain,
    Move,
    Restart,
    Situation,
    Withdraw,
    back_off_s,
)


def decide_with_health(situation: Situation) -> list[Action]:
    """The actions to take now, in order; an empty list means: wait for news."""
    rest = _without_taken_out(situation)
    actions = decide(rest)
    # What is begun with an instance by others comes first; the next turn looks at it again.
    busy = {getattr(action, "instance_id", None) for action in actions}
    replacing = [
        action
        for action in _replace_failing(rest)
        if isinstance(action, LookAgain) or action.instance_id not in busy
    ]
    return [*_set_aside(situation), *replacing, *actions]


def _replace_failing(situation: Situation) -> list[Restart | LookAgain]:
    """Start the instance again that has failed its check for too long: one at a time, the longest first.

    A new release that fails is its deployment's affair. That the next one may take long to start,
    or fails as well, is what the back-off of restarts is for.
    """
    deployment = situation.deployment
    kept = situation.current_release_id if deployment is None else deployment.previous_release_id
    mine = [i for i in situation.instances if i.release_id == kept]
    failing = [
        (i.failing_for_s, i)
        for i in mine
        if i.state is InstanceState.SERVING and i.died is None and i.failing_for_s is not None
    ]
    if situation.replace_after_s is None or not failing:
        return []
    if any(i.state is InstanceState.STARTING for i in mine):
        return []
    longest, instance = max(failing, key=lambda pair: pair[0])
    if longest < situation.replace_after_s:
        return [LookAgain(situation.replace_after_s - longest)]
    served_s = situation.now - instance.since - longest
    strikes = 0 if served_s >= STEADY_S else instance.strikes + 1
    reason = f"failed its check for {longest:.0f} s"
    return [Restart(instance.id, situation.now + back_off_s(strikes), strikes, reason)]


def _set_aside(situation: Situation) -> list[Action]:
    """Bring those that people took out of the balancer out of it; nothing else is done to them."""
    actions: list[Action] = []
    for instance in situation.instances:
        if instance.taken_out is not None:
            actions += _set_one_aside(situation, instance)
    return actions


def _set_one_aside(situation: Situation, instance: InstanceFacts) -> list[Action]:
    if instance.state is InstanceState.STOPPING:
        return [] if instance.is_ending else [End(instance.id)]
    if instance.died is not None or not instance.is_known:
        reason = instance.died or "was gone when Halage came back"
        return [Move(instance.id, InstanceState.STOPPING, reason)]
    if instance.state is InstanceState.SERVING:
        return [Move(instance.id, InstanceState.TAKEN_OUT)] if _may_leave(situation, instance) else []
    if instance.in_balancer == "out":
        return []
    if instance.in_balancer != "draining":
        return [Drain(instance.id)]
    # Also when the clock was set back.
    is_over = not 0 <= situation.now - instance.since < situation.drain_timeout_s
    return [Withdraw(instance.id) if instance.sessions == 0 or is_over else LookAgain(0.05)]


def _may_leave(situation: Situation, instance: InstanceFacts) -> bool:
    """One that is replaced leaves once the others are as many as are wanted."""
    if instance.taken_out is None or not instance.taken_out.replace:
        return True
    others = [
        i
        for i in situation.instances
        if i.taken_out is None and i.state is InstanceState.SERVING and i.in_balancer == "serving"
    ]
    return len(others) >= situation.wanted or situation.wanted == 0


def _without_taken_out(situation: Situation) -> Situation:
    """The rest: without them, and without the places that they leave empty on purpose."""
    out = [i for i in situation.instances if i.taken_out is not None]
    if not out:
        return situation
    deployment = situation.deployment
    goal = situation.current_release_id
    if deployment is not None:
        is_forward = deployment.state is DeploymentState.RUNNING
        goal = deployment.release_id if is_forward else deployment.previous_release_id
    empty = sum(not i.taken_out.replace for i in out if i.taken_out is not None and i.release_id == goal)
    rest = tuple(i for i in situation.instances if i.taken_out is None)
    return replace(situation, instances=rest, wanted=max(situation.wanted - empty, 0))
