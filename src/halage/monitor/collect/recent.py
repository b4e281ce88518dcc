"""The requests of the last minute, by route and target: for those who cannot wait for a tick to end."""

from collections import Counter, deque
from collections.abc import Mapping

from halage.balancer.model import Visit
from halage.base.clock import Clock
from halage.monitor.collect.model import Requests

WINDOW_S = 60.0
STEP_S = 5
"""Visits leave the window in pieces of so many seconds."""
SILENT_S = 15.0
"""A log that was not read for so long says nothing of now."""

_Outcome = tuple[str | None, int, int | None, int | None]
"""Target, status, the target's time and the whole response time (ms)."""


class RecentVisits:
    """Counts visits as the access log is read. Bounded: visits of a piece that went alike are one entry."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._routes: dict[str, deque[tuple[int, Counter[_Outcome]]]] = {}
        self._read_at: float | None = None
        self._tidied_at = 0.0

    def add(self, visit: Visit, at: float) -> None:
        """Count a visit; one of long ago is none of now."""
        now = self._clock.now()
        if visit.route is None or now - at > WINDOW_S:
            return
        pieces = self._routes.get(visit.route)
        if pieces is None:
            pieces = self._routes[visit.route] = deque()
        piece = int(at // STEP_S)
        if pieces and pieces[-1][0] > now // STEP_S + 1:
            pieces.clear()  # the clock was set back: what is of the future was long ago
        # HAProxy's threads write when they have the time: what is a little late counts with the others.
        if not pieces or pieces[-1][0] < piece:
            pieces.append((piece, Counter()))
        pieces[-1][1][visit[2:6]] += 1

    def note_read(self) -> None:
        """The log was read to its end, or as far as there was time."""
        self._read_at = now = self._clock.monotonic()
        if now - self._tidied_at >= WINDOW_S:
            self._tidied_at = now
            for route in list(self._routes):
                self._pieces(route)

    def requests_of(self, route: str) -> Mapping[str | None, Requests] | None:
        """The requests of the last minute by target; of the whole route under None.

        None while the log is not read.
        """
        if self._read_at is None or self._clock.monotonic() - self._read_at > SILENT_S:
            return None
        sums: dict[str | None, _Sum] = {None: _Sum()}
        for _, outcomes in self._pieces(route):
            for (target, status, target_ms, response_ms), number in outcomes.items():
                sums[None].add(status, response_ms, number)
                if target is not None:
                    sums.setdefault(target, _Sum()).add(status, target_ms, number)
        return {target: found.requests() for target, found in sums.items()}

    def _pieces(self, route: str) -> deque[tuple[int, Counter[_Outcome]]]:
        """What of a route is within the window; the rest is forgotten."""
        pieces = self._routes.get(route, deque())
        now = self._clock.now()
        oldest, newest = (now - WINDOW_S) // STEP_S, now // STEP_S
        while pieces and not oldest < pieces[0][0] <= newest + 1:
            pieces.popleft()
        if not pieces:
            self._routes.pop(route, None)
        return pieces


class _Sum:
    def __init__(self) -> None:
        self.count = self.errors = self.client_errors = 0
        self.times: Counter[int] = Counter()

    def add(self, status: int, time_ms: int | None, number: int) -> None:
        """Count requests that went alike."""
        self.count += number
        if status >= 500:
            self.errors += number
        elif status >= 400:
            self.client_errors += number
        if time_ms is not None:
            self.times[time_ms] += number

    def requests(self) -> Requests:
        """What it comes to."""
        p50, p95, p99 = _quantiles(self.times, (0.5, 0.95, 0.99))
        return Requests(self.count, self.errors, self.client_errors, p50, p95, p99)


def _quantiles(times: Mapping[int, int], wanted: tuple[float, ...]) -> list[float | None]:
    """The values at rank ceil(q * count) of counted values, q ascending; None of nothing."""
    count = sum(times.values())
    found: list[float | None] = []
    seen = 0
    entries = iter(sorted(times.items()))
    value: int | None = None
    for q in wanted:
        while count and seen < q * count:
            value, number = next(entries)
            seen += number
        found.append(None if value is None else float(value))
    return found
