"""A simulation as a picture: requests over time, and the instances that were there for them. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from halage.environment.autoscaling.simulation import Column, Simulation

WIDTH, HEIGHT = 960, 420
_LEFT, _RIGHT, _GAP = 70, 20, 40
_TOPS = (30, 230)
_TALL = 150
_STYLE = """
text{font:12px system-ui,sans-serif;fill:#333}.frame{fill:none;stroke:#bbb}.rate{fill:#5b8fd9}
.scaled{fill:#3a9a5c}.static{stroke:#b0622a;stroke-dasharray:5 4;fill:none}.dropped{fill:#c8323c}
rect.page{fill:#fff}
@media (prefers-color-scheme:dark){text{fill:#ddd}.frame{stroke:#555}rect.page{fill:#16181c}}
"""


@dataclass(frozen=True, slots=True)
class Titles:
    """What is written over the two halves of the picture."""

    requests: str = "Requests per second"
    instances: str = "Instances; dashed: the static fleet; red: dropped requests"


def draw(simulation: Simulation, titles: Titles = Titles()) -> str:
    """An SVG of 960 by 420: above requests a second, below the instances of both fleets, and drops."""
    columns, size = simulation.scaled.columns, simulation.static.most
    peak = simulation.peak or 1.0
    most = max(size, simulation.scaled.most, 1)
    first, last = _day(simulation.start), _day(simulation.end)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text x="{_LEFT}" y="20">{escape(titles.requests)}</text>',
        _area(columns, lambda column: column.rate / peak, _TOPS[0], "rate"),
        *_scale(_TOPS[0], f"{peak:,.0f}"),
        f'<text x="{_LEFT}" y="{_TOPS[1] - 10}">{escape(titles.instances)}</text>',
        _area(columns, lambda column: column.instances / most, _TOPS[1], "scaled"),
        _level(size / most, _TOPS[1]),
        *_drops(columns, _TOPS[1] + _TALL + 4),
        *_scale(_TOPS[1], str(most)),
        f'<text x="{_LEFT}" y="{HEIGHT - 10}">{first}</text>',
        f'<text x="{WIDTH - _RIGHT}" y="{HEIGHT - 10}" text-anchor="end">{last}</text>',
        "</svg>",
    ]
    return "\n".join(parts)


def _x(place: int, count: int) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * place / max(count, 1)


def _area(columns: Sequence[Column], share: Callable[[Column], float], top: int, name: str) -> str:
    bottom, count = top + _TALL, len(columns)
    points = [f"M{_LEFT} {bottom}"]
    for place, column in enumerate(columns):
        y = bottom - _TALL * min(share(column), 1.0)
        points.append(f"L{_x(place, count):.1f} {y:.1f}L{_x(place + 1, count):.1f} {y:.1f}")
    return f'<path class="{name}" d="{"".join(points)}L{_x(count, count):.1f} {bottom}Z"/>'


def _level(share: float, top: int) -> str:
    y = top + _TALL * (1 - min(share, 1.0))
    return f'<path class="static" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>'


def _drops(columns: Sequence[Column], y: int) -> list[str]:
    count = len(columns)
    width = max(_x(1, count) - _x(0, count), 1.5)
    return [
        f'<rect class="dropped" x="{_x(place, count):.1f}" y="{y}" width="{width:.1f}" height="6"/>'
        for place, column in enumerate(columns)
        if column.dropped >= 1
    ]


def _scale(top: int, most: str) -> list[str]:
    wide = WIDTH - _LEFT - _RIGHT
    return [
        f'<rect class="frame" x="{_LEFT}" y="{top}" width="{wide}" height="{_TALL}"/>',
        f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{most}</text>',
        f'<text x="{_LEFT - 6}" y="{top + _TALL}" text-anchor="end">0</text>',
    ]


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")
