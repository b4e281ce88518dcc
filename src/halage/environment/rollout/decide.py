"""What an environment does next. Pure: `decide(situation)` looks at facts and returns actions.

One function serves deployments by every policy, rollbacks, restarts after a death, scaling and the
quiet days between: all of them converge on a goal, a release and a number of instances.
"""

from halage.environment.model import DeploymentState, InstanceState
from halage.environment.rollout.judge import judge
from halage.environment.rollout.mechanism import Course, step
from halage.environment.rollout.sides import Sides, sides_of
from halage.environment.rollout.strategy import Strategy, strategy_of
from halage.environment.rules import (
    LIVE_STATES,
    Action,
    BeginBatch,
    DeploymentFacts,
    Finish,
    Halt,
    InstanceFacts,
    Judged,
    LookAgain,
    Move,
    Prepare,
    RollBack,
    RunReleaseCommand,
    Situation,
    keep,
)
from halage.site.settings import Policy

LOOK_EVERY_S = 1.0
"""While new instances serve beside old ones, so that a failed check is seen."""


def decide(situation: Situation) -> list[Action]:
    """The actions to take now, in order; an empty list means: wait for news."""
    deployment = situation.deployment
    if deployment is None:
        return _together(_keep(situation, None), step(situation, _rest(situation)))
    strategy = strategy_for(deployment, situation.wanted)
    if deployment.state is not DeploymentState.RUNNING:
        return _together(_keep(situation, strategy), _go_back(situation, deployment))
    if (turn := _reason_to_turn(situation, deployment, strategy)) is not None:
        return [turn]
    keeping = _keep(situation, strategy)
    if deployment.rollout.halted is not None:
        return _together(keeping, _stand_still(situation, deployment))
    return _together(keeping, _go_forward(situation, deployment, strategy))


def strategy_for(deployment: DeploymentFacts, wanted: int) -> Strategy:
    """The strategy that a deployment goes by."""
    return strategy_of(deployment.rollout.policy, deployment.rollout.plan, wanted)


def is_proving(deployment: DeploymentFacts, strategy: Strategy) -> bool:
    """Whether the first instances of the new release are alone, to be proved."""
    return strategy.first > 0 and deployment.rollout.batch <= 1


def is_reached(situation: Situation, release_id: int) -> bool:
    """Whether all that are wanted serve a release, and nobody serves another."""
    sides = sides_of(situation, release_id)
    whole = len(sides.mine) == len(sides.new_serving) >= situation.wanted
    return whole and not sides.others and not sides.draining


def _together(keeping: list[Action], going: list[Action]) -> list[Action]:
    """Both, but nothing is begun for an instance that is let go in the same breath."""
    leaving = {a.instance_id for a in going if isinstance(a, Move) and a.state is InstanceState.STOPPING}
    return [a for a in keeping if getattr(a, "instance_id", None) not in leaving] + going


def _keep(situation: Situation, strategy: Strategy | None) -> list[Action]:
    return keep(situation, lambda instance: _share_of(situation, strategy, instance))


def _share_of(situation: Situation, strategy: Strategy | None, instance: InstanceFacts) -> float | None:
    """A canary's part of the requests in percent, also on the way back; None for whom they come in turn."""
    deployment = situation.deployment
    if deployment is None or strategy is None or not strategy.is_judged:
        return None
    if instance.release_id != deployment.release_id or not is_proving(deployment, strategy):
        return None
    # Where nobody else could answer the rest, the canary gets all.
    if not any(each.serves and each.release_id != deployment.release_id for each in situation.instances):
        return None
    return deployment.rollout.plan.canary.percent / strategy.first


def _rest(situation: Situation) -> Course:
    """No deployment: the current release has what is wanted."""
    wanted = situation.wanted
    strategy = strategy_of(Policy.ALL_AT_ONCE, _DEFAULT.plan, wanted)
    return Course(situation.current_release_id, strategy, wanted)


_DEFAULT = DeploymentFacts(0, DeploymentState.RUNNING, 0, None, 0.0).rollout


# -- forward


def _reason_to_turn(
    situation: Situation, deployment: DeploymentFacts, strategy: Strategy
) -> RollBack | Halt | None:
    if deployment.failure is not None:
        return RollBack(deployment.failure)
    is_late = situation.now >= deployment.deadline_at
    if is_late and not is_reached(situation, deployment.release_id):
        return RollBack("the deadline of the deployment is over", _slowest(situation, deployment))
    if deployment.rollout.halted is not None:
        return None
    sides = sides_of(situation, deployment.release_id)
    turn = _first_failure(deployment, strategy, sides) or _worse_canary(situation, deployment, strategy)
    if turn is not None and not deployment.rollout.plan.rollback:
        return Halt(turn.reason, turn.instance_id)
    return turn


def _first_failure(deployment: DeploymentFacts, strategy: Strategy, sides: Sides) -> RollBack | None:
    """The failure that a batch does not bear, if there are so many."""
    failures = [(each, words) for each in sides.mine if (words := _failure_of(each)) is not None]
    if len(failures) <= tolerated(deployment, strategy):
        return None
    instance, words = failures[0]
    return RollBack(f"instance {instance.id} {words}", instance.id)


def tolerated(deployment: DeploymentFacts, strategy: Strategy) -> int:
    """How many instances of the batch under way may fail before the deployment does."""
    share = 1 - min(deployment.rollout.plan.healthy_percent, 100.0) / 100
    return int(strategy.size(max(deployment.rollout.batch, 1)) * share + 1e-9)


def _failure_of(instance: InstanceFacts) -> str | None:
    if instance.died is not None:
        return instance.died
    if instance.unanswered is not None and instance.state is InstanceState.STARTING:
        return instance.unanswered
    is_out = instance.state is InstanceState.SERVING and instance.in_balancer == "serving"
    if is_out and not instance.is_up:
        return f"fails its check ({instance.check or 'without a word'})"
    if instance.strikes > 0 and instance.state is InstanceState.STARTING:
        return "does not stay up"
    return None


def _worse_canary(situation: Situation, deployment: DeploymentFacts, strategy: Strategy) -> RollBack | None:
    rollout = deployment.rollout
    if not strategy.is_judged or not is_proving(deployment, strategy) or rollout.verdict is not None:
        return None
    sides = sides_of(situation, deployment.release_id)
    rest = _rest_of(situation.now, rollout.plan.canary.duration_s, sides)
    is_over = bool(sides.new_serving) and rest <= 0
    verdict = judge(rollout.plan.canary, rollout.new_answers, rollout.old_answers, is_over=is_over)
    return RollBack(f"the canary is worse: {verdict.words}") if verdict.is_worse else None


def _slowest(situation: Situation, deployment: DeploymentFacts) -> str | None:
    for instance in situation.instances:
        if instance.release_id == deployment.release_id and instance.state is InstanceState.STARTING:
            return instance.id
    return None


def _stand_still(situation: Situation, deployment: DeploymentFacts) -> list[Action]:
    if deployment.rollout.has_successor:
        return [Finish(DeploymentState.FAILED)]
    if situation.now >= deployment.deadline_at:  # whole nevertheless, or it would have turned round
        return [Finish(DeploymentState.SUCCEEDED)]
    return [_until_deadline(situation, deployment)]


def _until_deadline(situation: Situation, deployment: DeploymentFacts) -> LookAgain:
    return LookAgain(max(deployment.deadline_at - situation.now, 0.0))


def _go_forward(situation: Situation, deployment: DeploymentFacts, strategy: Strategy) -> list[Action]:
    look = _until_deadline(situation, deployment)
    if not deployment.is_prepared:
        return [look] if "prepare" in situation.busy else [Prepare(), look]
    if not deployment.is_released:
        return [look] if "release" in situation.busy else [RunReleaseCommand(), look]
    rollout = deployment.rollout
    if rollout.batch == 0:
        return [BeginBatch(1)]
    course = Course(
        goal=deployment.release_id,
        strategy=strategy,
        reach=strategy.reach(rollout.batch),
        is_proving=is_proving(deployment, strategy),
        previous=deployment.previous_release_id,
    )
    if found := step(situation, course):
        return [*found, look]
    if is_reached(situation, deployment.release_id) and _is_quiet(situation):
        return [Finish(DeploymentState.SUCCEEDED)]
    sides = sides_of(situation, deployment.release_id)
    onward = _next_batch(situation, deployment, strategy, sides)
    if sides.new_serving:
        onward.append(LookAgain(LOOK_EVERY_S))
    return [*onward, look]


def _next_batch(
    situation: Situation, deployment: DeploymentFacts, strategy: Strategy, sides: Sides
) -> list[Action]:
    """Begin the next batch once this one is done, judged and rested."""
    rollout = deployment.rollout
    if rollout.batch >= strategy.batches or not _is_batch_done(deployment, strategy, sides):
        return []
    if strategy.is_judged and is_proving(deployment, strategy):
        return _judge_canary(situation, deployment, sides)
    pause = 0.0 if strategy.is_switched else rollout.plan.pause_s
    rest = _rest_of(situation.now, pause, sides)
    return [LookAgain(rest)] if rest > 0 else [BeginBatch(rollout.batch + 1)]


def _is_batch_done(deployment: DeploymentFacts, strategy: Strategy, sides: Sides) -> bool:
    reach = strategy.reach(deployment.rollout.batch)
    done = sides.new_serving
    if strategy.is_switched and not strategy.is_judged:
        done = tuple(each for each in sides.mine if each.serves or each.state is InstanceState.READY)
    is_calm = not sides.draining and not sides.stopping
    return is_calm and len(sides.mine) >= reach and len(done) >= reach - tolerated(deployment, strategy)


def _rest_of(now: float, duration_s: float, sides: Sides) -> float:
    """Seconds until so much time has passed since the last one began to serve; a clock set back ends it."""
    elapsed = now - max((each.since for each in sides.new_serving), default=now - duration_s)
    return duration_s - elapsed if elapsed >= 0 else 0.0


def _judge_canary(situation: Situation, deployment: DeploymentFacts, sides: Sides) -> list[Action]:
    rollout = deployment.rollout
    if rollout.verdict is not None:
        return [BeginBatch(rollout.batch + 1)]
    rest = _rest_of(situation.now, rollout.plan.canary.duration_s, sides)
    if rest > 0:
        return [LookAgain(min(rest, LOOK_EVERY_S))]
    verdict = judge(rollout.plan.canary, rollout.new_answers, rollout.old_answers, is_over=True)
    return [Judged(verdict.words)]


def _is_quiet(situation: Situation) -> bool:
    return all(each.state is not InstanceState.STOPPING for each in situation.instances)


# -- back


def _go_back(situation: Situation, deployment: DeploymentFacts) -> list[Action]:
    goal = deployment.previous_release_id
    strategy = strategy_for(deployment, situation.wanted)
    course = Course(goal, strategy, situation.wanted, is_back=True)
    actions = step(situation, course)
    others = [each for each in situation.instances if each.release_id != goal and each.state in LIVE_STATES]
    is_back = not others and (goal is None or is_reached(situation, goal))
    if not actions and is_back and _is_quiet(situation):
        return [Finish(DeploymentState.ROLLED_BACK if goal is not None else DeploymentState.FAILED)]
    if situation.now >= deployment.deadline_at:
        return [*actions, Finish(DeploymentState.FAILED)]
    look = [LookAgain(LOOK_EVERY_S)] if others else []
    return [*actions, *look, _until_deadline(situation, deployment)]
