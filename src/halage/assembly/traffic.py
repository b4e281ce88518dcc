"""What visitors got, read from the metrics: for deployments that are judged by it, and their reports."""

import asyncio
from collections.abc import Iterable, Sequence

from halage.environment.rollout.traffic import Served
from halage.environment.tables.store import Place
from halage.monitor.metrics.model import TICK_S, Buckets, MetricReader, Selector
from halage.monitor.metrics.sketch import Sketch


class MetricTraffic:
    """The `Traffic` of environments over a metric store. Before there is a store, nothing is known."""

    def __init__(self) -> None:
        self.reader: MetricReader | None = None

    async def of_instances(
        self, place: Place, instances: Sequence[str], start: float, end: float
    ) -> Served | None:
        """By these instances of an environment alone."""
        return await asyncio.to_thread(self._read, place, "instance", frozenset(instances), start, end)

    async def of_environment(self, place: Place, start: float, end: float) -> Served | None:
        """By the whole environment, with what no instance answered."""
        return await asyncio.to_thread(self._read, place, "environment", None, start, end)

    def _read(
        self, place: Place, of: str, instances: frozenset[str] | None, start: float, end: float
    ) -> Served | None:
        reader = self.reader
        if reader is None or not start < end:
            return None

        def buckets(name: str, *, with_sketches: bool = False) -> list[Buckets]:
            dimensions = {"project": place[0], "environment": place[1]}
            found = [
                series
                for series in reader.find(Selector(f"{of}_{name}", dimensions))
                if instances is None or series.key.get("instance") in instances
            ]
            if not found:
                return []
            read = reader.read(found, start, end, TICK_S, with_sketches=with_sketches)
            return list(read.buckets.values())

        requests = _total(buckets("requests"))
        if requests is None:
            return None
        whole = _merged(buckets("response_time_ms", with_sketches=True))
        return Served(
            requests=requests,
            failed=_total(buckets("responses_5xx")) or 0,
            p50_ms=whole.quantile(0.5),
            p95_ms=whole.quantile(0.95),
            p99_ms=whole.quantile(0.99),
        )


def _total(several: Iterable[Buckets]) -> int | None:
    """The sum of counts; None when there are none."""
    found = [
        value
        for buckets in several
        for value, count in zip(buckets.total, buckets.count, strict=True)
        if count
    ]
    return round(sum(found)) if found else None


def _merged(several: Iterable[Buckets]) -> Sketch:
    whole = Sketch()
    for buckets in several:
        for sketch in buckets.sketches or ():
            if sketch is not None:
                whole.merge(sketch)
    return whole
