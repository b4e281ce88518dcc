"""The colour of an environment and its cause. Pure."""

from collections.abc import Sequence

from halage.environment.model import Colour, Instance, InstanceState


def colour_of(
    wanted: int, instances: Sequence[Instance], has_release: bool, balancer_answers: bool
) -> tuple[Colour, str]:
    """The colour, and why, in words. Only instances that get requests and answer them count."""
    if not has_release and not instances:
        return Colour.GREY, "nothing has been deployed here yet"
    if not balancer_answers:
        return Colour.RED, "the balancer does not answer; it is being started again"
    up = [i for i in instances if i.state is InstanceState.SERVING and i.is_up]
    if has_release and len(up) >= wanted:
        return Colour.GREEN, f"{_count(len(up))} up"
    cause = _cause(instances) or "instances are missing"
    if up:
        return Colour.YELLOW, f"{len(up)} of {_count(wanted)} up: {cause}"
    if not has_release:
        return Colour.GREY, "the first deployment is under way"
    return Colour.RED, f"no instance is up: {cause}"


def _count(number: int) -> str:
    return "1 instance" if number == 1 else f"{number} instances"


def _cause(instances: Sequence[Instance]) -> str:
    for instance in instances:
        if instance.state is InstanceState.SERVING and not instance.is_up:
            return f"{instance.id} fails its check ({instance.check or 'not checked yet'})"
    for instance in instances:
        if instance.state is InstanceState.STARTING:
            after = f" after it {instance.reason}" if instance.reason else ""
            return f"{instance.id} is starting{after}"
    return ""
