"""Which names, dimensions and values a site may send. Pure.

Names and dimensions are those of Prometheus' data model
(https://prometheus.io/docs/concepts/data_model/), so that nothing is renamed on the way out.
"""

import math
import re
from collections.abc import Mapping

from halage.monitor.intake.errors import Refusal
from halage.monitor.intake.model import Place, Reason
from halage.monitor.metrics.model import OWN_PREFIXES, TICK_S, Kind, SeriesKey

LONGEST_NAME = 128
LONGEST_DIMENSION = 64
LONGEST_VALUE = 200
MOST_DIMENSIONS = 10
LARGEST = 1e100
"""Of numbers, so that sums stay finite."""
MOST_COUNTED = 1e15
"""In one tick: what a floating-point number counts exactly."""
LATE_S = 3600.0
EARLY_S = 60.0
"""A clock elsewhere may be so far ahead."""

GIVEN_DIMENSIONS = ("project", "environment", "instance")
"""Halage says these itself."""
_EXPOSED_DIMENSIONS = ("le", "quantile")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_name(name: str) -> None:
    """Raise Refusal unless a site may use the name."""
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise Refusal(
            Reason.NAME,
            shortened(name),
            f"A metric cannot be called {shortened(name)!r}: a name has 1 to {LONGEST_NAME} letters, digits "
            "and underscores, and does not begin with a digit.",
        )
    if name.startswith(OWN_PREFIXES):
        prefix = next(each for each in OWN_PREFIXES if name.startswith(each))
        raise Refusal(
            Reason.NAME,
            name,
            f"A site's metric cannot be called {name!r}: names that begin with {prefix!r} are Halage's own.",
        )


def check_dimensions(metric: str, dimensions: Mapping[str, str], *, with_quantile: bool = False) -> None:
    """Raise Refusal unless a site may use them. `with_quantile`: a summary's quantiles are told apart so."""
    if len(dimensions) > MOST_DIMENSIONS:
        count = len(dimensions)
        raise Refusal(
            Reason.DIMENSION, metric, f"{metric} has {count} dimensions; {MOST_DIMENSIONS} at most."
        )
    for name, value in dimensions.items():
        problem = _problem_of(name, value, with_quantile)
        if problem is not None:
            raise Refusal(Reason.DIMENSION, metric, f"{metric}: {problem}")


def _problem_of(name: str, value: str, with_quantile: bool) -> str | None:
    if len(name) > LONGEST_DIMENSION or not _NAME.fullmatch(name) or name.startswith("__"):
        return (
            f"a dimension cannot be called {shortened(name)!r}: a name has 1 to {LONGEST_DIMENSION} letters, "
            "digits and underscores, and does not begin with a digit or two underscores."
        )
    if name in GIVEN_DIMENSIONS:
        return f"the dimension {name} is given by Halage; take another name."
    if name in _EXPOSED_DIMENSIONS and not (with_quantile and name == "quantile"):
        return f"the dimension {name} has a meaning of its own in Prometheus; take another name."
    if not 1 <= len(value) <= LONGEST_VALUE or _CONTROL.search(value):
        return (
            f"the value of the dimension {name} has 1 to {LONGEST_VALUE} printable characters, "
            f"not {shortened(value)!r}."
        )
    return None


def series_key(
    place: Place,
    name: str,
    dimensions: Mapping[str, str],
    *,
    instance: str | None = None,
    with_quantile: bool = False,
) -> SeriesKey:
    """The series of an environment's own metric. Raises Refusal."""
    check_name(name)
    check_dimensions(name, dimensions, with_quantile=with_quantile)
    pairs = [*dimensions.items(), ("project", place[0]), ("environment", place[1])]
    if instance is not None:
        pairs.append(("instance", instance))
    return SeriesKey(name, tuple(sorted(pairs)))


def usable_dimensions(dimensions: Mapping[str, str]) -> dict[str, str]:
    """What a program sent, which nobody corrects at once: an empty one is none, Halage's own are renamed.

    Prometheus does the same with the labels of a target: `instance` becomes `exported_instance`.
    """
    return {
        f"exported_{name}" if name in GIVEN_DIMENSIONS else name: value
        for name, value in dimensions.items()
        if value
    }


def check_value(metric: str, kind: Kind, value: float) -> None:
    """Raise Refusal unless the number can be kept."""
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise Refusal(
            Reason.VALUE, metric, f"{metric} cannot be {value!r}: a value is a number up to {LARGEST:g}."
        )
    if kind is Kind.COUNT and not 0 <= value <= MOST_COUNTED:
        raise Refusal(
            Reason.VALUE,
            metric,
            f"{metric} cannot be {value:g}: a count says how often something happened, "
            f"from 0 to {MOST_COUNTED:g}.",
        )


def tick_of(at: float) -> int:
    """The beginning of the tick that a moment belongs to (seconds, epoch)."""
    return math.floor(at / TICK_S) * TICK_S


def shortened(text: str) -> str:
    """Text from outside, short enough for a message."""
    return text if len(text) <= 80 else text[:80] + "…"
