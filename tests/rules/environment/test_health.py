"""The colour of an environment and its cause."""

from dataclasses import replace

import pytest

from halage.environment.health import colour_of
from halage.environment.model import Colour, Instance, InstanceState

UP = Instance(
    "i-1", "shop", "prod", 1, 1, InstanceState.SERVING, 1, "127.0.0.9", 20000, 1.0, 2.0, "", "L7OK/200", True
)
DOWN = replace(UP, id="i-2", is_up=False, check="L7STS/500")
STARTING = replace(
    UP, id="i-3", state=InstanceState.STARTING, is_up=False, reason="exited with code 1", check=""
)


@pytest.mark.parametrize(
    ("wanted", "instances", "has_release", "answers", "colour", "cause"),
    [
        (0, [], False, True, Colour.GREY, "nothing has been deployed here yet"),
        (2, [STARTING], False, True, Colour.GREY, "the first deployment is under way"),
        (2, [UP, UP], True, True, Colour.GREEN, "2 instances up"),
        (1, [UP], True, True, Colour.GREEN, "1 instance up"),
        (2, [UP, DOWN], True, True, Colour.YELLOW, "1 of 2 instances up: i-2 fails its check (L7STS/500)"),
        (
            2,
            [UP, STARTING],
            True,
            True,
            Colour.YELLOW,
            "1 of 2 instances up: i-3 is starting after it exited with code 1",
        ),
        (1, [DOWN], True, True, Colour.RED, "no instance is up: i-2 fails its check (L7STS/500)"),
        (1, [], True, True, Colour.RED, "no instance is up: instances are missing"),
        (1, [UP], True, False, Colour.RED, "the balancer does not answer; it is being started again"),
    ],
)
def test_colour(
    wanted: int, instances: list[Instance], has_release: bool, answers: bool, colour: Colour, cause: str
) -> None:
    assert colour_of(wanted, instances, has_release, answers) == (colour, cause)
