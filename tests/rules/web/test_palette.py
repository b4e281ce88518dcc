"""The colours of graphs: seen on their ground, and told apart with every kind of colour blindness.

Simulated after G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, "A Physiologically-based Model for
Simulation of Color Vision Deficiency", IEEE TVCG 15(6), 2009, severity 1.0; distances are CIE76 in Lab.
"""

import math
import re
from itertools import combinations

import pytest

from halage.web.console.assets import STATIC

Colour = tuple[float, float, float]
_EYES: dict[str, tuple[Colour, Colour, Colour]] = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
JUST_NOTICED = 2.3
"""The distance that half of people notice in large areas; lines are thin, so ten times as much is wanted."""
LEAST_CONTRAST = 3.0
"""Of graphics on their ground: WCAG 2.2, 1.4.11."""


def palette(scheme: str) -> list[str]:
    """The eight colours of a scheme, in their order."""
    found = re.findall(r"--series-(\d): (#[0-9a-f]{6})", (STATIC / "monitor.css").read_text())
    assert [int(number) for number, _ in found] == [*range(1, 9)] * 2, "light, then dark"
    return [colour for _, colour in found][slice(0, 8) if scheme == "light" else slice(8, 16)]


def ground(scheme: str) -> str:
    """What graphs are drawn on."""
    found = re.findall(r"--surface: (#[0-9a-f]{6})", (STATIC / "console.css").read_text())
    return str(found[0] if scheme == "light" else found[1])


def linear(colour: str) -> Colour:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return red, green, blue


def seen(colour: str, eyes: str) -> Colour:
    """In Lab, as these eyes see it."""
    source = linear(colour)
    mixed = [min(1.0, max(0.0, sum(a * b for a, b in zip(row, source, strict=True)))) for row in _EYES[eyes]]
    x = (0.4124564 * mixed[0] + 0.3575761 * mixed[1] + 0.1804375 * mixed[2]) / 0.95047
    y = 0.2126729 * mixed[0] + 0.7151522 * mixed[1] + 0.0721750 * mixed[2]
    z = (0.0193339 * mixed[0] + 0.1191920 * mixed[1] + 0.9503041 * mixed[2]) / 1.08883
    a, b, c = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z))
    return 116 * b - 16, 500 * (a - b), 200 * (b - c)


def contrast(one: str, other: str) -> float:
    """Between 1 and 21, as WCAG computes it."""
    lights = [
        sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear(each), strict=True))
        for each in (one, other)
    ]
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("eyes", sorted(_EYES))
def test_any_two_lines_are_told_apart(scheme: str, eyes: str) -> None:
    near = [
        (one, other, round(math.dist(seen(one, eyes), seen(other, eyes)), 1))
        for one, other in combinations(palette(scheme), 2)
        if math.dist(seen(one, eyes), seen(other, eyes)) < 10 * JUST_NOTICED
    ]
    assert near == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_line_is_seen_on_its_ground(scheme: str) -> None:
    faint = [each for each in palette(scheme) if contrast(each, ground(scheme)) < LEAST_CONTRAST]
    assert faint == []


def test_colours_that_are_confused_would_be_found() -> None:
    # Orange and green of the same lightness: one colour to who does not see green.
    assert math.dist(seen("#c2571a", "protanopia"), seen("#3f7d2c", "protanopia")) < 10 * JUST_NOTICED
