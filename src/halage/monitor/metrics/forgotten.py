"""Projects that were deleted: what still comes in of their time is left out, and cannot come back."""

import threading
from collections.abc import Mapping, Sequence

from halage.monitor.metrics.ladder import LATENESS_S
from halage.monitor.metrics.model import Sample


class Forgotten:
    """When which project was deleted. Safe from any thread.

    A visit that was logged before the deletion is counted up to ten seconds after it, and samples may
    come an hour late; a project of the same name that is made meanwhile must not begin with them.
    """

    def __init__(self, moments: Mapping[str, float] | None = None) -> None:
        self._moments = dict(moments or {})
        self._changing = threading.Lock()

    def note(self, project: str, now: float) -> None:
        """From now on, samples of ticks that began before are those of a project that is gone."""
        with self._changing:
            recent = {name: at for name, at in self._moments.items() if _is_recent(at, now)}
            self._moments = {**recent, project: now}

    def without(self, samples: Sequence[Sample], at: float, now: float) -> Sequence[Sample]:
        """The samples of the tick that began at `at` but those of projects that were deleted since."""
        # A clock that was set back must not cost a new project its samples: that lies in the future.
        gone = {name for name, moment in self._moments.items() if at <= moment and _is_recent(moment, now)}
        if not gone:
            return samples
        return [sample for sample in samples if sample.key.get("project") not in gone]


def _is_recent(moment: float, now: float) -> bool:
    """Whether a sample of before that moment may still come."""
    return moment <= now <= moment + LATENESS_S
