"""Projects and environments that were removed: what still comes of their time is left out, for good."""

import threading
from collections.abc import Mapping, Sequence

from halage.monitor.inventory import place_names
from halage.monitor.metrics.ladder import LATENESS_S
from halage.monitor.metrics.model import Sample, SeriesKey


class Forgotten:
    """When which project or environment was removed. Safe from any thread.

    A visit that was logged before that is counted up to ten seconds after it, and samples may come an
    hour late; one of the same name that is made meanwhile must not begin with them.
    """

    def __init__(self, moments: Mapping[str, float] | None = None) -> None:
        self._moments = dict(moments or {})
        self._changing = threading.Lock()

    def note(self, place: str, now: float) -> None:
        """From now on, samples of ticks that began before are those of a place that is gone."""
        with self._changing:
            recent = {name: at for name, at in self._moments.items() if _is_recent(at, now)}
            self._moments = {**recent, place: now}

    def without(self, samples: Sequence[Sample], at: float, now: float) -> Sequence[Sample]:
        """The samples of the tick that began at `at` but those of places that were removed since."""
        # A clock that was set back must not cost a new place its samples: that lies in the future.
        gone = {name for name, moment in self._moments.items() if at <= moment and _is_recent(moment, now)}
        if not gone:
            return samples
        return [sample for sample in samples if gone.isdisjoint(places_of(sample.key))]


def places_of(key: SeriesKey) -> tuple[str, ...]:
    """The names of the project and the environment that a series is of."""
    return place_names(key.get("project"), key.get("environment"))


def _is_recent(moment: float, now: float) -> bool:
    """Whether a sample of before that moment may still come."""
    return moment <= now <= moment + LATENESS_S
