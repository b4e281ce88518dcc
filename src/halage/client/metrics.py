"""Metrics as Python methods of the client."""

from collections.abc import Mapping
from typing import Any

from halage.client.connection import Connection

Document = dict[str, Any]


class MetricCalls(Connection):
    """A method for each route about metrics."""

    def search_metrics(
        self,
        name: str = "*",
        *,
        project: str | None = None,
        environment: str | None = None,
        dimensions: Mapping[str, str] | None = None,
        limit: int = 200,
    ) -> Document:
        """Series that match, and how many there are; `*` and `?` stand for what is left open."""
        query = {
            "name": name,
            "project": project,
            "environment": environment,
            "dimension": [f"{key}:{value}" for key, value in (dimensions or {}).items()],
            "limit": limit,
        }
        return dict(self._ask("GET", "/metrics", query=query))

    def query_metrics(
        self,
        expression: str,
        *,
        from_: str | None = None,
        to: str | None = None,
        period: int | None = None,
    ) -> Document:
        """What an expression comes to. Moments are ISO 8601 with a zone, the period is in seconds."""
        query = {"expression": expression, "from": from_, "to": to, "period": period}
        return dict(self._ask("GET", "/metrics/query", query=query))

    def query_metrics_csv(
        self,
        expression: str,
        *,
        from_: str | None = None,
        to: str | None = None,
        period: int | None = None,
    ) -> str:
        """The same as CSV: a row for each period, a column for each line."""
        query = {"expression": expression, "from": from_, "to": to, "period": period, "format": "csv"}
        return self._ask_text("GET", "/metrics/query", query=query)
