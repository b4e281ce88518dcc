"""Filters: searches whose hits among new lines are counted in a metric of the site's own."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from halage.base.database import Database, Transaction
from halage.base.errors import HalageError
from halage.monitor.logs.errors import NameTaken, NoSuchLogFilter
from halage.monitor.logs.matching import Matcher, make_matcher
from halage.monitor.logs.model import FieldTest, Group, LogFilter, Search
from halage.monitor.logs.rules import check_metric_name
from halage.monitor.logs.store import Entry
from halage.monitor.logs.tables import log_filters_table
from halage.monitor.metrics.model import TICK_S, Kind, MetricWriter, Sample, SeriesKey

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Counting:
    key: SeriesKey
    group: str
    stream: str | None
    matcher: Matcher


class LogFilters:
    """All filters, and the counts of the present tick."""

    def __init__(self, database: Database, writer: MetricWriter) -> None:
        self._database = database
        self._writer = writer
        self._counting: list[_Counting] = []
        self._counts: Counter[SeriesKey] = Counter()
        self._tick: int | None = None
        self._is_failing = False

    # -- what people set

    async def load(self) -> None:
        """Count by the filters that there are now."""
        self._counting = [_prepare(each) for each in await self.list()]

    async def list(self, project: str | None = None) -> list[LogFilter]:
        """The filters of a project, or all."""
        return await self._database.run(_read, project)

    async def create(self, group: Group, metric: str, search: Search, *, actor: str) -> LogFilter:
        """Count in `metric` what the search finds in a project's group, from now on.

        Raises BadLogFilter, BadSearch, NameTaken.
        """
        assert group.project is not None
        check_metric_name(metric)
        make_matcher(search)
        try:
            made = await self._database.run(_create, group, metric, search, actor)
        except IntegrityError as error:
            place = group.name.partition("/")[0]
            raise NameTaken(f"There is a filter for {metric} of {place} already: delete it first.") from error
        await self.load()
        return made

    async def get(self, filter_id: int) -> LogFilter:
        """One filter. Raises NoSuchLogFilter."""
        for each in await self.list():
            if each.id == filter_id:
                return each
        raise NoSuchLogFilter(f"There is no filter {filter_id}, or you may not see it.")

    async def change(self, filter_id: int, search: Search, *, actor: str) -> LogFilter:
        """Count another search in the same metric from now on. Raises NoSuchLogFilter, BadSearch."""
        make_matcher(search)
        await self._database.run(_change, await self.get(filter_id), search, actor)
        await self.load()
        return await self.get(filter_id)

    async def delete(self, filter_id: int, *, actor: str) -> None:
        """Count no more; what was counted stays. Raises NoSuchLogFilter."""
        await self._database.run(_delete, await self.get(filter_id), actor)
        await self.load()

    async def forget_place(self, project: str, environment: str | None = None) -> None:
        """Remove the filters of a project, or of one environment of it."""
        await self._database.run(_forget, project, environment)
        await self.load()

    # -- what is counted

    def count(self, entries: Sequence[Entry]) -> None:
        """Count the hits among lines that were just kept."""
        for each in self._counting:
            for entry in entries:
                if entry.group.name == each.group and each.stream in (None, entry.stream):
                    hits = sum(1 for line in entry.lines if each.matcher.matches(line.text))
                    self._counts[each.key] += hits

    def tell(self, now: float, own: Sequence[Sample]) -> bool:
        """Write the counts of the last tick once it is over, with `own` samples; whether it was.

        A filter without hits counts 0: no errors and no data are not the same. Never raises.
        """
        tick = int(now // TICK_S) * TICK_S
        if self._tick is None:
            self._tick = tick
        if tick == self._tick:
            return False
        before, self._tick = self._tick, tick
        counts, self._counts = self._counts, Counter()
        keys = {each.key for each in self._counting} | set(counts)
        samples = [Sample(key, Kind.COUNT, float(counts[key])) for key in keys]
        try:
            self._writer.write(before, TICK_S, [*own, *samples])
            self._is_failing = False
        except HalageError as error:
            if not self._is_failing:
                log.warning(
                    "counts of lines are not kept",
                    action="monitor:CountLogs",
                    subject="server",
                    reason=error.message,
                )
            self._is_failing = True
        return True


def _prepare(filter_: LogFilter) -> _Counting:
    dimensions = {"project": filter_.project}
    if filter_.environment is not None:
        dimensions["environment"] = filter_.environment
    key = SeriesKey.of(filter_.metric, **dimensions)
    return _Counting(key, filter_.group, filter_.search.stream, make_matcher(filter_.search))


def _to_document(search: Search) -> dict[str, Any]:
    document = asdict(search)
    return {**document, "fields": [str(each) for each in search.fields]}


def _from_document(document: dict[str, Any]) -> Search:
    fields = tuple(FieldTest.parse(text) for text in document["fields"])
    return Search(**{**document, "fields": fields})


def _read(tx: Transaction, project: str | None) -> list[LogFilter]:
    query = select(log_filters_table).order_by(log_filters_table.c.id)
    if project is not None:
        query = query.where(log_filters_table.c.project == project)
    return [_view(row) for row in tx.execute(query)]


def _view(row: Any) -> LogFilter:
    return LogFilter(
        row.id,
        row.project,
        row.environment,
        row.metric,
        row.log_group,
        _from_document(row.search),
        row.created_at,
        row.created_by,
    )


def _create(tx: Transaction, group: Group, metric: str, search: Search, actor: str) -> LogFilter:
    table = log_filters_table
    same = select(table.c.id).where(
        table.c.project == group.project,
        # An index takes two NULLs for different: filters of builds are compared here.
        table.c.environment.is_(group.environment)
        if group.environment is None
        else table.c.environment == group.environment,
        table.c.metric == metric,
    )
    if tx.execute(same).first() is not None:
        raise NameTaken(f"There is a filter for {metric} of {group.name.partition('/')[0]} already.")
    values = {
        "project": group.project,
        "environment": group.environment,
        "metric": metric,
        "log_group": group.name,
        "search": _to_document(search),
        "created_at": tx.now,
        "created_by": actor,
    }
    number = tx.insert(insert(table).values(values))
    tx.record(
        "monitor:SetLogFilter",
        actor=actor,
        subject=f"filter {metric} of {group.name}",
        project=group.project,
        after=_in_words(metric, group.name, search),
    )
    row = tx.execute(select(table).where(table.c.id == number)).one()
    return _view(row)


def _change(tx: Transaction, filter_: LogFilter, search: Search, actor: str) -> None:
    table = log_filters_table
    tx.change(update(table).where(table.c.id == filter_.id).values(search=_to_document(search)))
    tx.record(
        "monitor:SetLogFilter",
        actor=actor,
        subject=f"filter {filter_.metric} of {filter_.group}",
        project=filter_.project,
        before=_in_words(filter_.metric, filter_.group, filter_.search),
        after=_in_words(filter_.metric, filter_.group, search),
    )


def _delete(tx: Transaction, filter_: LogFilter, actor: str) -> None:
    tx.change(delete(log_filters_table).where(log_filters_table.c.id == filter_.id))
    tx.record(
        "monitor:DeleteLogFilter",
        actor=actor,
        subject=f"filter {filter_.metric} of {filter_.group}",
        project=filter_.project,
        before=_in_words(filter_.metric, filter_.group, filter_.search),
    )


def _in_words(metric: str, group: str, search: Search) -> dict[str, Any]:
    """What the journal shows of a filter."""
    searched = {name: value for name, value in _to_document(search).items() if value}
    return {"metric": metric, "group": group, **searched}


def _forget(tx: Transaction, project: str, environment: str | None) -> None:
    here = [log_filters_table.c.project == project]
    if environment is not None:
        here.append(log_filters_table.c.environment == environment)
    tx.change(delete(log_filters_table).where(*here))
