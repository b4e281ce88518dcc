"""A stand-in for the service of queries over a real metric store: `STATISTIC(name{...})` and no more."""

import re
from datetime import UTC, datetime

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from halage.monitor.metrics.model import Buckets, Selector
from halage.monitor.metrics.store import MetricStore

_SHAPE = re.compile(r"(average|sum|maximum|minimum)\((\w+)\)")


class StoreQueries:
    """Answers the route of queries from a store."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store

    async def answer(self, request: Request) -> Response:
        """The lines of an expression, a series each."""
        query = request.query_params
        shape = _SHAPE.fullmatch(query["expression"])
        assert shape is not None, query["expression"]
        start, end = (datetime.fromisoformat(query[name]).timestamp() for name in ("from", "to"))
        found = self._store.find(Selector(shape[2]))
        read = self._store.read(found, start, end, int(query.get("period", 60)))
        first = next(iter(read.buckets.values()))
        return JSONResponse(
            {
                "period_s": read.period_s,
                "start": datetime.fromtimestamp(first.start, UTC).isoformat(),
                "lines": [
                    {
                        "label": str(series.key),
                        "dimensions": dict(series.key.dimensions),
                        "values": _values(read.buckets[series.id], shape[1]),
                    }
                    for series in found
                ],
                "problems": list(read.problems),
            }
        )


def _values(buckets: Buckets, statistic: str) -> list[float | None]:
    values = {"average": buckets.total, "sum": buckets.total}.get(statistic) or getattr(buckets, statistic)
    return [
        None if count == 0 else (value / count if statistic == "average" else value)
        for count, value in zip(buckets.count, values, strict=True)
    ]
