"""The picture of an alarm, whatever its values are."""

import math
import re

import pytest

from halage.monitor.alarms.model import Alarm, Course, Definition, State
from halage.web.console.alarm_picture import draw

START = 1_700_000_000.0


@pytest.mark.parametrize("value", [0.0, 5.0, -3.5, 1e17, -1e17, 1e300, -1e300, 5e-324, -5e-324])
@pytest.mark.parametrize("threshold", [None, 0.0, 1e300])
def test_values_that_are_all_the_same_are_drawn_at_any_size(value: float, threshold: float | None) -> None:
    definition = Definition("flat", expression="sum(x)", threshold=threshold)
    alarm = Alarm(1, definition, False, State.OK, "", START, False, None, START, START, "ada")
    course = Course(START, 60, [value] * 3)
    picture = draw(alarm, course, (), START, START + 180, lambda each: f"{each:g}")
    places = [float(number) for number in re.findall(r"-?[\d.]+(?:e[+-]?\d+)?", "".join(picture.lines))]
    assert len(places) == 6
    assert all(math.isfinite(place) and 0 <= place <= 1000 for place in places)
    assert (picture.latest, picture.lowest, picture.highest) == (value, value, value)
