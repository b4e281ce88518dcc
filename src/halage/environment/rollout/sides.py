"""The instances of an environment as a change sees them: those of the goal, and all others."""

from dataclasses import dataclass

from halage.environment.model import InstanceState
from halage.environment.rules import InstanceFacts, Situation

_COMING = frozenset({InstanceState.STARTING, InstanceState.READY, InstanceState.SERVING})


@dataclass(frozen=True, slots=True)
class Sides:
    """Who is on which side. Who is kept aside is on none until it is taken back."""

    mine: tuple[InstanceFacts, ...]
    """Of the goal: starting, ready or serving."""
    others: tuple[InstanceFacts, ...]
    """Of every other release: the same."""
    draining: tuple[InstanceFacts, ...]
    """Of any release."""
    stopping: tuple[InstanceFacts, ...]
    kept: tuple[InstanceFacts, ...]
    """Of the goal, alive: they can serve at once."""

    @property
    def new_serving(self) -> tuple[InstanceFacts, ...]:
        """Those of the goal that visitors get answers from."""
        return tuple(each for each in self.mine if each.serves)

    @property
    def serving(self) -> int:
        """How many visitors get answers from."""
        return sum(each.serves for each in (*self.mine, *self.others))

    @property
    def running(self) -> int:
        """How many have, or may still have, a process; those that are kept aside not counted."""
        return len(self.mine) + len(self.others) + len(self.draining) + len(self.stopping)


def sides_of(situation: Situation, goal: int | None) -> Sides:
    """The sides of a change to release `goal`."""
    coming = [each for each in situation.instances if each.state in _COMING]
    return Sides(
        mine=tuple(each for each in coming if each.release_id == goal),
        others=tuple(each for each in coming if each.release_id != goal),
        draining=_in(situation, InstanceState.DRAINING),
        stopping=_in(situation, InstanceState.STOPPING),
        kept=tuple(
            each
            for each in _in(situation, InstanceState.KEPT)
            if each.release_id == goal and each.is_known and each.died is None
        ),
    )


def _in(situation: Situation, state: InstanceState) -> tuple[InstanceFacts, ...]:
    return tuple(each for each in situation.instances if each.state is state)
