"""Values as pictures of characters. Pure."""

from collections.abc import Sequence

Values = Sequence[float | None]

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def sparkline(values: Values, width: int) -> str:
    """The values as one row of blocks, from the lowest (or 0) to the highest; a blank where there is none.

    Where there are more values than columns, a column shows the highest of its own: no peak is lost.
    """
    return picture(values, width, 1)[0] if values else ""


def picture(values: Values, width: int, height: int) -> list[str]:
    """The same over several rows, the highest first."""
    columns = _columns(values, width)
    low, high = bounds(values)
    span = high - low
    steps = []
    for value in columns:
        if value is None:
            steps.append(0)
        else:
            # What is there is seen: the lowest value still has an eighth of a block.
            steps.append(max(1, round((value - low) / span * height * 8)) if span else 1)
    return [
        "".join(_EIGHTHS[min(8, max(0, step - row * 8))] for step in steps) for row in reversed(range(height))
    ]


def bounds(values: Values) -> tuple[float, float]:
    """What the bottom and the top of a picture stand for."""
    present = [value for value in values if value is not None]
    if not present:
        return 0.0, 0.0
    return min(0.0, *present), max(0.0, *present)


def number(value: float | None) -> str:
    """A value as people read it: `12.3`, `0.0417`, `1,234,567`; `-` for none."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.3g}"


def _columns(values: Values, width: int) -> list[float | None]:
    if len(values) <= width:
        return list(values)
    columns: list[float | None] = []
    for column in range(width):
        begin = column * len(values) // width
        end = (column + 1) * len(values) // width
        present = [value for value in values[begin:end] if value is not None]
        columns.append(max(present) if present else None)
    return columns
