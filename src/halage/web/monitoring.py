"""What the pages ask of monitoring: of metrics and of alarms, whose services stand in `halage.monitor`."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from halage.monitor.metrics.model import Series


class MetricSearch(Protocol):
    """Knows which series there are."""

    async def search(
        self, name: str, dimensions: Mapping[str, str], visible: frozenset[str] | None
    ) -> Sequence[Series]:
        """Series whose name and dimensions are like these, of the projects that the caller may see."""
        ...


class ShownAlarm(Protocol):
    """An alarm as a page shows it."""

    @property
    def id(self) -> int:
        """Its number."""
        ...

    @property
    def project(self) -> str | None:
        """Whose it is; None: the server's."""
        ...

    @property
    def environment(self) -> str | None:
        """Its environment, if it has one."""
        ...

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def state(self) -> str:
        """OK, ALARM or INSUFFICIENT_DATA."""
        ...

    @property
    def reason(self) -> str:
        """Why it is in that state."""
        ...

    @property
    def state_at(self) -> float:
        """Since when (seconds, epoch)."""
        ...

    @property
    def is_disabled(self) -> bool:
        """Whether its changes are told to nobody."""
        ...


class AlarmList(Protocol):
    """Knows the state of each alarm."""

    async def list(self, visible: frozenset[str] | None) -> Sequence[ShownAlarm]:
        """Alarms of the server and of the projects that the caller may see (None: of all)."""
        ...
