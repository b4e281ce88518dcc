"""Counters of targets and routes that go on through reloads and restarts of HAProxy, which zeroes its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from halage.balancer.drivers.haproxy.configuration import target_of

Key = tuple[str, str]
"""Slot and target id; BACKEND for the slot's own."""

BACKEND = "BACKEND"


@dataclass(frozen=True, slots=True)
class Counters:
    """What a target did, or all of a slot."""

    requests: int = 0
    responses_5xx: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    connections: int = 0
    retries: int = 0
    failed_checks: int = 0

    def as_tuple(self) -> tuple[int, ...]:
        """All of them in the order of their declaration: that is how they are recorded."""
        return (
            self.requests,
            self.responses_5xx,
            self.bytes_in,
            self.bytes_out,
            self.connections,
            self.retries,
            self.failed_checks,
        )

    def __add__(self, other: "Counters") -> "Counters":
        return Counters(*(mine + its for mine, its in zip(self.as_tuple(), other.as_tuple(), strict=True)))

    def __sub__(self, other: "Counters") -> "Counters":
        return Counters(*(mine - its for mine, its in zip(self.as_tuple(), other.as_tuple(), strict=True)))


ZERO = Counters()
Reading = Mapping[Key, Counters]


def read_counters(rows: Iterable[Mapping[str, str]]) -> dict[Key, Counters]:
    """The counters in the rows of `show stat`; a target's two servers count together."""
    counted: dict[Key, Counters] = {}
    for row in rows:
        key = (row["pxname"], target_of(row["svname"]))
        mine = Counters(
            _number(row.get("req_tot")) or _number(row.get("stot")),
            _number(row.get("hrsp_5xx")),
            _number(row.get("bin")),
            _number(row.get("bout")),
            _number(row.get("connect")),
            _number(row.get("wretr")),
            _number(row.get("chkfail")),
        )
        counted[key] = counted[key] + mine if key in counted else mine
    return counted


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


class Figures:
    """Adds up what each worker counted. `past` is what all but the present worker have counted."""

    def __init__(self, past: Reading | None = None) -> None:
        self.past: dict[Key, Counters] = dict(past or {})
        self._present: Reading = {}
        self._finishing: dict[int, Reading] = {}

    @property
    def present(self) -> Reading:
        """What the present worker had counted when it was last observed."""
        return self._present

    def observe(self, reading: Reading) -> None:
        """Take what the present worker counted so far."""
        self._present = reading

    def turn_over(self, former: int | None = None) -> None:
        """The present worker is a former one from now on (its generation), or is dead (None)."""
        for key, counters in self._present.items():
            self.past[key] = self.past.get(key, ZERO) + counters
        if former is not None:
            self._finishing[former] = self._present
        self._present = {}

    def observe_finishing(self, former: int, reading: Reading) -> None:
        """Take what a former worker counted so far."""
        known = self._finishing.get(former, {})
        for key, counters in reading.items():
            self.past[key] = self.past.get(key, ZERO) + (counters - known.get(key, ZERO))
        self._finishing[former] = reading

    def forget_finishing(self, former: int) -> None:
        """A former worker has ended."""
        self._finishing.pop(former, None)

    def total(self, key: Key) -> Counters:
        """All that was counted for a target."""
        past, present = self.past.get(key), self._present.get(key, ZERO)
        return present if past is None else past + present  # without a reload ever, as nearly always

    def forget(self, key: Key) -> None:
        """Drop the counters of a target that was taken away."""
        self.past.pop(key, None)
