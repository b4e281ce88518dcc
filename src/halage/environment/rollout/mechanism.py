"""The one mechanism behind all policies: one step towards the wanted instances of a release.

Who is ready enters, who is replaced leaves, who is missing is started; how many of each at a time
is what a `Strategy` says. Nothing here looks at the name of a policy.
"""

from dataclasses import dataclass

from halage.environment.model import InstanceState
from halage.environment.rollout.sides import Sides, sides_of
from halage.environment.rollout.strategy import Strategy
from halage.environment.rules import Action, CreateInstance, InstanceFacts, LookAgain, Move, Situation


@dataclass(frozen=True, slots=True)
class Course:
    """Where a change goes, how, and how far it may go now."""

    goal: int | None
    strategy: Strategy
    reach: int
    """How many instances of the goal there are to be by now."""
    is_back: bool = False
    """The way back: what is not needed any more goes at once."""
    is_proving: bool = False
    """The first ones are being proved: the others wait for them."""
    previous: int | None = None
    """The release that holds the fort until the switch."""


def step(situation: Situation, course: Course) -> list[Action]:
    """What to do now; empty when the course is at its end for now."""
    sides = sides_of(situation, course.goal)
    actions = _let_go(situation, sides, course)
    if dropped := _unneeded(sides.mine, situation.wanted):
        return [*actions, *(Move(each.id, InstanceState.STOPPING) for each in dropped)]
    for find in (_admit, _dismiss, _fill):
        if found := find(situation, sides, course):
            return [*actions, *found]
    if not actions and (surplus := _surplus(situation, sides)) is not None:
        return [Move(surplus.id, InstanceState.DRAINING)]
    return actions


def _let_go(situation: Situation, sides: Sides, course: Course) -> list[Action]:
    """End, or keep aside, what has drained; while something drains, look again soon."""
    actions: list[Action] = []
    missing = situation.wanted - len(sides.mine) if course.is_back else 0
    for each in sides.draining:
        if each.release_id == course.goal and missing > 0 and each.is_known and each.died is None:
            missing -= 1
            actions.append(Move(each.id, InstanceState.SERVING))
            continue
        elapsed = situation.now - each.since
        is_over = not 0 <= elapsed < situation.drain_timeout_s  # also when the clock was set back
        if each.in_balancer == "draining" and (each.sessions == 0 or is_over):
            actions.append(Move(each.id, _after_draining(each, course)))
        else:
            actions.append(LookAgain(0.05))
    return actions


def _after_draining(instance: InstanceFacts, course: Course) -> InstanceState:
    is_old = instance.release_id == course.previous is not None and not course.is_back
    is_kept = course.strategy.keeps_old and is_old and instance.died is None and instance.sessions == 0
    return InstanceState.KEPT if is_kept else InstanceState.STOPPING


def _unneeded(mine: tuple[InstanceFacts, ...], wanted: int) -> list[InstanceFacts]:
    """Of more instances than are wanted, those that serve nobody yet: the last ones made first."""
    idle = [each for each in mine if each.state is not InstanceState.SERVING and not each.is_protected]
    # One that keeps dying is no use to wait for.
    idle.sort(key=lambda each: each.strikes > 0)
    surplus = max(len(mine) - wanted, 0)
    return idle[len(idle) - min(surplus, len(idle)) :]


def _admit(situation: Situation, sides: Sides, course: Course) -> list[Action]:
    """Who is ready begins to serve; where all are switched together, once all are ready."""
    ready = [each for each in sides.mine if each.state is InstanceState.READY]
    if course.strategy.is_switched and not course.is_back and not _may_enter(situation, sides, course):
        ready = []
    # One of the old ones that died comes back in its place, as long as it has one.
    if not course.is_back and len(sides.others) <= _others_allowed(situation, sides, course):
        ready += [each for each in sides.others if each.state is InstanceState.READY]
    return [Move(each.id, InstanceState.SERVING) for each in ready]


def _may_enter(situation: Situation, sides: Sides, course: Course) -> bool:
    if course.is_proving:
        return course.strategy.is_judged
    waiting = (InstanceState.READY, InstanceState.SERVING)
    return sum(each.state in waiting for each in sides.mine) >= situation.wanted


def _others_allowed(situation: Situation, sides: Sides, course: Course) -> int:
    """How many instances of other releases have a place now."""
    wanted, strategy = situation.wanted, course.strategy
    if course.goal is None:
        return 0
    serving = len(sides.new_serving)
    if course.is_back:
        room = len(sides.mine) + strategy.batch if strategy.is_stop_first else serving
        return max(wanted - room, 0)
    if strategy.is_switched:
        return wanted if serving < wanted or course.is_proving else 0
    return max(wanted - (course.reach if strategy.is_stop_first else serving), 0)


def _dismiss(situation: Situation, sides: Sides, course: Course) -> list[Action]:
    """Who has no place any more leaves: first who serves nobody, then others, while enough serve."""
    idle = [each for each in sides.others if each.state is not InstanceState.SERVING]
    if course.is_back and idle:
        return [Move(each.id, InstanceState.STOPPING) for each in idle]
    leaving = len(sides.others) - _others_allowed(situation, sides, course)
    if leaving <= 0:
        return []
    unwell = [each for each in sides.others if each.state is InstanceState.SERVING and not each.serves]
    well = [each for each in sides.others if each.serves]
    fewest = 0 if course.goal is None else min(course.strategy.fewest, situation.wanted)
    spare = max(sides.serving - fewest, 0)
    going = [*idle, *unwell, *well[:spare]][:leaving]
    return [
        Move(each.id, InstanceState.DRAINING if each in (*unwell, *well) else InstanceState.STOPPING)
        for each in going
    ]


def _fill(situation: Situation, sides: Sides, course: Course) -> list[Action]:
    """Who is missing: taken back where it is kept, else started, while there is room."""
    if course.goal is None:
        return []
    missing = min(course.reach, situation.wanted) - len(sides.mine)
    if missing > 0 and sides.kept:
        return [Move(each.id, InstanceState.READY) for each in sides.kept[:missing]]
    room = situation.wanted + course.strategy.surge - sides.running
    if missing > 0 and room > 0:
        return [CreateInstance(course.goal)] * min(missing, room)
    return _hold_the_fort(situation, sides, course)


def _hold_the_fort(situation: Situation, sides: Sides, course: Course) -> list[Action]:
    """Until the switch the old release carries the visitors, also when more instances are wanted."""
    strategy = course.strategy
    if not strategy.is_switched or course.is_back or course.previous is None:
        return []
    has_switched = sum(each.state is InstanceState.SERVING for each in sides.mine) > (
        strategy.first if strategy.is_judged else 0
    )
    if has_switched or sides.draining:
        return []
    old = [each for each in sides.others if each.release_id == course.previous]
    if not old or len(old) != len(sides.others):
        return []
    return [CreateInstance(course.previous)] * max(situation.wanted - len(old), 0)


def _surplus(situation: Situation, sides: Sides) -> InstanceFacts | None:
    """One that serves and is too many. Who gets no requests goes first, then the one made last:
    who is put back beside the one in its place stays, as the person wants it.
    """
    serving = [each for each in sides.mine if each.state is InstanceState.SERVING]
    if len(serving) <= situation.wanted or any(each.died or not each.is_known for each in serving):
        return None
    spare = [each for each in reversed(serving) if not each.is_protected]
    return min(spare, key=lambda each: each.is_up, default=None)
