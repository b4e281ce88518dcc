"""What is collected until it is written: lines of StatsD and scrapes, by tick and environment."""

from collections.abc import Iterator, Mapping

import structlog

from halage.base.clock import Clock
from halage.base.errors import HalageError
from halage.monitor.intake.errors import Refusal
from halage.monitor.intake.exposition import Labels
from halage.monitor.intake.increase import Counters, Measured
from halage.monitor.intake.model import IntakeLimits, Place, Reason, Scrape
from halage.monitor.intake.quota import Quota
from halage.monitor.intake.rules import (
    MOST_COUNTED,
    check_value,
    series_key,
    tick_of,
    usable_dimensions,
)
from halage.monitor.intake.scraper import Scraped
from halage.monitor.intake.statsd_lines import StatsdLine, parse_line
from halage.monitor.intake.tally import Tally
from halage.monitor.inventory import WatchedEnvironment
from halage.monitor.metrics.model import TICK_S, Kind, Sample, SeriesKey
from halage.monitor.metrics.sketch import Sketch

log = structlog.get_logger()


class Collection:
    """Bounded by the quotas of the environments that there are. Not safe from several threads."""

    def __init__(self, clock: Clock, limits: IntakeLimits) -> None:
        self._clock = clock
        self._limits = limits
        self.quotas: dict[Place, Quota] = {}
        self.lines = self.malformed = self.strangers = 0
        self._keys: Mapping[str, Place] = {}
        self._pending: dict[int, dict[Place, Tally]] = {}
        self._counters: dict[str, Counters] = {}
        """By unit: what starts anew counts anew."""
        self._own: dict[int, list[Sample]] = {}
        self._counted: dict[str, int] = {}

    def watch(self, environments: Mapping[Place, WatchedEnvironment], keys: Mapping[str, Place]) -> None:
        """From now on these are there, and no others."""
        self._keys = keys
        now = self._clock.now()
        units = set()
        for place in self.quotas.keys() - environments.keys():
            del self.quotas[place]
        for place, environment in environments.items():
            units |= {instance.unit_id for instance in environment.instances}
            if place in self.quotas:
                self.quotas[place].forget(now, {instance.id for instance in environment.instances})
        for unit in self._counters.keys() - units:
            del self._counters[unit]

    def forget_place(self, project: str, environment: str | None = None) -> None:
        """Begin anew with what has the name of a project, or of an environment of it, that is removed."""

        def is_gone(place: Place) -> bool:
            return place[0] == project and environment in (None, place[1])

        self.quotas = {place: quota for place, quota in self.quotas.items() if not is_gone(place)}
        for tallies in self._pending.values():
            for place in [place for place in tallies if is_gone(place)]:
                del tallies[place]

    def take_datagram(self, datagram: bytes) -> None:
        """Take the lines of a datagram; what is wrong with one is counted and stops no other."""
        now = self._clock.now()
        for line in datagram.split(b"\n"):
            if line:
                self._take_line(line, now)

    def _take_line(self, raw: bytes, now: float) -> None:
        self.lines += 1
        try:
            line = parse_line(raw.decode(errors="replace"))
        except Refusal as refusal:
            self.malformed += 1
            self._note_malformed(raw, refusal, now)
            return
        place = self._keys.get(line.key) if line.key is not None else None
        if place is None or (quota := self.quotas.get(place)) is None:
            self.strangers += 1
            return
        try:
            key = series_key(place, line.name, usable_dimensions(line.tags))
            for number in line.numbers:
                check_value(line.name, line.kind, number)
            quota.admit(key, line.kind, now)
            _add_line(self._tally(tick_of(now), place), quota, key, line)
        except Refusal as refusal:
            quota.refuse(refusal, now)

    def _note_malformed(self, raw: bytes, refusal: Refusal, now: float) -> None:
        """Tell the environment, where its key can be read."""
        place = self._keys.get(raw.partition(b".")[0].decode(errors="replace"))
        if place is not None and (quota := self.quotas.get(place)) is not None:
            quota.refuse(refusal, now)

    def take_scrape(self, scraped: Scraped) -> None:
        """Take what an instance answered."""
        place = (scraped.instance.project, scraped.instance.environment)
        quota = self.quotas.get(place)
        if quota is None:
            return  # the environment went while it was asked
        taken, now = 0, self._clock.now()
        if scraped.families:
            taken = self._take_families(scraped, quota, now)
        quota.scrapes[scraped.instance.id] = Scrape(
            scraped.instance.id, scraped.at, taken, round(scraped.duration_ms, 1), scraped.problem
        )
        if scraped.problem is not None:
            quota.refuse(
                Refusal(Reason.SCRAPE, "", f"Scraping {scraped.instance.id} failed: {scraped.problem}."),
                now,
            )

    def _take_families(self, scraped: Scraped, quota: Quota, now: float) -> int:
        counters = self._counters.setdefault(scraped.instance.unit_id, Counters())
        tally = self._tally(scraped.tick, quota.place)
        refused: set[tuple[str, Labels]] = set()
        taken = 0
        for measured in counters.measure(list(scraped.families)):
            try:
                key = series_key(
                    quota.place,
                    measured.name,
                    usable_dimensions(dict(measured.labels)),
                    instance=scraped.instance.id,
                    with_quantile=True,
                )
                _check_measured(measured)
                quota.admit(key, measured.kind, now)
                _add_measured(tally, key, measured)
                taken += 1
            except Refusal as refusal:
                quota.refuse(refusal, now)
                refused.add((measured.name, measured.labels))
        counters.forget(refused)
        return taken

    def finished(self, now: float | None) -> Iterator[tuple[int, list[Sample]]]:
        """Samples of the ticks that are over at `now`, oldest first; with None, of all. Each comes once.

        A tick far ahead is over as well: the clock was set back since.
        """
        for tick in sorted(self._pending.keys() | self._own.keys()):
            if now is None or tick + TICK_S <= now or tick > now + TICK_S:
                tallies = self._pending.pop(tick, {})
                samples = self._own.pop(tick, [])
                samples += [sample for tally in tallies.values() for sample in tally]
                if samples:
                    yield tick, samples

    def count_own(self, tick: int, dropped: int) -> None:
        """Add what Halage says of the intake itself to the tick."""
        standing = {
            "halage_statsd_lines": self.lines,
            "halage_statsd_malformed": self.malformed,
            "halage_statsd_strangers": self.strangers,
            "halage_statsd_dropped": dropped,
        }
        own = self._own.setdefault(tick, [])
        for name, count in standing.items():
            increase = count - self._counted.get(name, 0)
            own.append(Sample(SeriesKey.of(name), Kind.COUNT, float(increase)))
        self._counted = standing
        for (project, environment), quota in self.quotas.items():
            if quota.is_used:
                key = SeriesKey.of("halage_metrics_refused", project=project, environment=environment)
                own.append(Sample(key, Kind.COUNT, float(quota.refused_now)))
                quota.refused_now = 0

    def say_refusals(self) -> None:
        """Write what was refused into the log: a line an hour for an environment, at most."""
        for place, quota in self.quotas.items():
            last = quota.to_say(self._clock.now())
            if last is not None:
                log.warning(
                    "metrics refused",
                    action="monitor:RefuseMetrics",
                    subject=".".join(place),
                    reason=last.reason.value,
                    count=last.count,
                    message=last.message,
                )

    def note_lost(self, samples: list[Sample], error: HalageError) -> None:
        """Count samples that the store did not take. It may have kept others of the same tick."""
        now = self._clock.now()
        lost: dict[Place, list[str]] = {}
        for sample in samples:
            place = (sample.key.get("project") or "", sample.key.get("environment") or "")
            lost.setdefault(place, []).append(sample.key.name)
        for place, names in lost.items():
            if (quota := self.quotas.get(place)) is not None:
                quota.refuse(Refusal(Reason.STORE, names[0], error.message), now, len(names))

    def _tally(self, tick: int, place: Place) -> Tally:
        return self._pending.setdefault(tick, {}).setdefault(place, Tally(self._limits.values))


def _add_line(tally: Tally, quota: Quota, key: SeriesKey, line: StatsdLine) -> None:
    """Raises Refusal past the limit of values."""
    for member in line.members:
        tally.add_member(key, member)
    for number, is_change in zip(line.numbers, line.changes, strict=True):
        match line.kind:
            case Kind.COUNT:
                tally.count(key, number / line.rate)
            case Kind.DISTRIBUTION:
                tally.add_value(key, number, max(1, round(1 / line.rate)))
            case Kind.GAUGE:
                tally.set_level(key, quota.level(key, number, is_change=is_change))


def _check_measured(measured: Measured) -> None:
    value = measured.value
    if isinstance(value, Sketch):
        check_value(measured.name, Kind.DISTRIBUTION, value.total)
        if value.count:
            check_value(measured.name, Kind.DISTRIBUTION, value.maximum)
            check_value(measured.name, Kind.DISTRIBUTION, value.minimum)
        if value.count > MOST_COUNTED:
            raise Refusal(Reason.VALUE, measured.name, f"{measured.name} counted more than there can be.")
    else:
        check_value(measured.name, measured.kind, value)


def _add_measured(tally: Tally, key: SeriesKey, measured: Measured) -> None:
    """Raises Refusal past the limit of values."""
    if isinstance(measured.value, Sketch):
        if measured.value.count:
            tally.merge(key, measured.value)
    elif measured.kind is Kind.COUNT:
        tally.count(key, measured.value)
    else:
        tally.set_level(key, measured.value)
