"""Where a deployment stands, in one word: derived from what is there, never from what was done last."""

from halage.environment.model import DeploymentState, InstanceState
from halage.environment.rollout.decide import is_proving, strategy_for
from halage.environment.rollout.sides import sides_of
from halage.environment.rules import Situation

PHASES = (
    *("prepare", "release command", "start", "prove", "judge", "switch", "drain", "stop", "pause"),
    *("halted", "back"),
)


def phase_of(situation: Situation) -> str | None:
    """The phase that the deployment under way is in; None without one."""
    deployment = situation.deployment
    if deployment is None:
        return None
    if deployment.state is not DeploymentState.RUNNING:
        return "back"
    if deployment.rollout.halted is not None:
        return "halted"
    if not deployment.is_prepared:
        return "prepare"
    if not deployment.is_released:
        return "release command"
    strategy = strategy_for(deployment, situation.wanted)
    sides = sides_of(situation, deployment.release_id)
    proving = is_proving(deployment, strategy)
    if (
        len(sides.mine) < strategy.reach(deployment.rollout.batch)
        and not sides.draining
        and not sides.stopping
    ):
        return "prove" if proving else "start"
    if any(each.state is InstanceState.STARTING for each in sides.mine):
        return "prove" if proving else "start"
    if proving and strategy.is_judged and sides.new_serving:
        return "judge"
    if any(not each.serves for each in sides.mine):
        return "switch"
    if sides.draining:
        return "drain"
    if sides.stopping:
        return "stop"
    return "pause" if deployment.rollout.batch else "start"
