"""How many series of its own an environment has, and what was refused: bounded, whatever is sent."""

from collections.abc import Iterable, Set

from halage.monitor.intake.errors import Refusal
from halage.monitor.intake.model import EnvironmentIntake, Place, Reason, Refused, Scrape
from halage.monitor.metrics.model import OWN_PREFIXES, Kind, Series, SeriesKey

LIVE_S = 86400.0
"""A series counts for a day after its last sample."""
SAY_EVERY_S = 3600.0


class _Live:
    __slots__ = ("kind", "level", "seen_at")

    def __init__(self, kind: Kind, seen_at: float) -> None:
        self.kind = kind
        self.seen_at = seen_at
        self.level = 0.0


class Quota:
    """The series of one environment. A metric has one kind, for all its series."""

    def __init__(self, place: Place, limit: int) -> None:
        self.place = place
        self.limit = limit
        self.scrapes: dict[str, Scrape] = {}
        """The last scrape by instance."""
        self.refused_now = 0
        """Since the count was last taken."""
        self._series: dict[SeriesKey, _Live] = {}
        self._kinds: dict[str, Kind] = {}
        self._refused: dict[Reason, Refused] = {}
        self._said_at: float | None = None
        self._instances: Set[str] = frozenset()
        self._forgot_at = 0.0

    def remember(self, known: Iterable[Series]) -> None:
        """Series that the store has from before Halage started."""
        for series in known:
            if not series.key.name.startswith(OWN_PREFIXES):
                self._series.setdefault(series.key, _Live(series.kind, series.last_at))
                self._kinds.setdefault(series.key.name, series.kind)

    def admit(self, key: SeriesKey, kind: Kind, now: float) -> None:
        """Note that the series has a sample. Raises Refusal when it may not."""
        live = self._series.get(key)
        if live is not None and live.kind is kind:
            live.seen_at = now
            return
        self.check(key, kind)
        self._series[key] = _Live(kind, now)
        self._kinds[key.name] = kind

    def check(self, key: SeriesKey, kind: Kind, *, more: int = 0) -> None:
        """Raise Refusal when the series may not come in; `more`: after so many others that are new."""
        known = self._kinds.get(key.name)
        if known is not None and known is not kind:
            raise Refusal(
                Reason.KIND,
                key.name,
                f"{key.name} is a {known} in {'.'.join(self.place)}, so it cannot be a {kind}: take another "
                "name, or wait for a day after its last sample.",
            )
        if key not in self._series and len(self._series) + more >= self.limit:
            raise Refusal(
                Reason.SERIES_LIMIT,
                key.name,
                f"{'.'.join(self.place)} has {len(self._series)} series of its own, and may have "
                f"{self.limit} (the setting metrics.series_per_environment): {key.name} was not kept. Is one "
                "of its dimensions different for each visitor or request? Leave that one out.",
            )

    def is_new(self, key: SeriesKey) -> bool:
        """Whether the series would be one more."""
        return key not in self._series

    def level(self, key: SeriesKey, value: float, *, is_change: bool) -> float:
        """The value of a gauge that was just admitted, after a new value or a change by one."""
        live = self._series[key]
        live.level = live.level + value if is_change else value
        return live.level

    def refuse(self, refusal: Refusal, now: float, count: int = 1) -> None:
        """Count what was refused."""
        before = self._refused.get(refusal.reason)
        total = count + (before.count if before else 0)
        self._refused[refusal.reason] = Refused(refusal.reason, total, refusal.metric, refusal.message, now)
        self.refused_now += count

    def forget(self, now: float, instances: Set[str]) -> None:
        """Forget series without a sample for a day, and those of instances that are gone."""
        if instances == self._instances and now - self._forgot_at < 60:
            return
        self._instances, self._forgot_at = instances, now
        alive = {}
        for key, live in self._series.items():
            instance = key.get("instance")
            if now - live.seen_at < LIVE_S and (instance is None or instance in instances):
                alive[key] = live
        if len(alive) != len(self._series):
            self._series = alive
            self._kinds = {key.name: live.kind for key, live in alive.items()}
        for instance in self.scrapes.keys() - instances:
            del self.scrapes[instance]

    def to_say(self, now: float) -> Refused | None:
        """What was refused last, once an hour at most, when anything was since it was said."""
        if not self._refused:
            return None
        last = max(self._refused.values(), key=lambda each: each.at)
        if self._said_at is not None and (now - self._said_at < SAY_EVERY_S or last.at <= self._said_at):
            return None
        self._said_at = now
        return last

    @property
    def is_used(self) -> bool:
        """Whether the environment sends anything of its own."""
        return bool(self._series or self._refused or self.scrapes)

    @property
    def series(self) -> int:
        """How many series there are."""
        return len(self._series)

    @property
    def state(self) -> EnvironmentIntake:
        """What is shown of it."""
        return EnvironmentIntake(
            project=self.place[0],
            environment=self.place[1],
            series=len(self._series),
            limit=self.limit,
            refused=tuple(self._refused[reason] for reason in Reason if reason in self._refused),
            scrapes=tuple(self.scrapes[instance] for instance in sorted(self.scrapes)),
        )
