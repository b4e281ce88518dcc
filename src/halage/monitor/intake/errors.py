"""What can go wrong while metrics come in."""

from halage.base.errors import HalageError, Unavailable
from halage.monitor.intake.model import Reason


class Refusal(HalageError):
    """A metric was not taken."""

    def __init__(self, reason: Reason, metric: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.metric = metric


class StatsdAddressInUse(Unavailable):
    """StatsD cannot listen where the setting metrics.statsd says."""
