"""The routes about logs as methods."""

from collections.abc import Iterator, Sequence
from typing import Any

from halage.client.connection import Connection

Document = dict[str, Any]


class LogCalls(Connection):
    """What a client asks of logs.

    `conditions` are the query parameters of a search: text, not_text, ignore_case ("true"), field
    (a list of NAME=VALUE or NAME~VALUE), stream, from and to (ISO 8601).
    """

    def list_log_groups(self, *, project: str | None = None) -> list[Document]:
        """Groups that have lines."""
        return list(self._ask("GET", "/logs/groups", query={"project": project}))

    def search_logs(
        self,
        groups: Sequence[str],
        conditions: Document | None = None,
        *,
        before: int | None = None,
        limit: int = 100,
    ) -> Document:
        """A page of lines, newest first."""
        query = {"group": list(groups), "before": before, "limit": limit, **(conditions or {})}
        return dict(self._ask("GET", "/logs/search", query=query))

    def count_logs(
        self, groups: Sequence[str], conditions: Document | None = None, *, period_s: int = 60
    ) -> Document:
        """How many lines, by period."""
        query = {"group": list(groups), "period": period_s, **(conditions or {})}
        return dict(self._ask("GET", "/logs/counts", query=query))

    def tail_logs(
        self, groups: Sequence[str], conditions: Document | None = None, *, lines: int = 10
    ) -> Iterator[Document]:
        """The last lines, then new ones as they come; has no end."""
        query = {"group": list(groups), "lines": lines, **(conditions or {})}
        for event in self._follow("/logs/stream", query=query):
            yield event.body

    def export_logs(
        self, groups: Sequence[str], conditions: Document | None = None, *, form: str = "text"
    ) -> Iterator[str]:
        """Every line that is kept, oldest first, as text or JSON."""
        query = {"group": list(groups), "format": form, **(conditions or {})}
        yield from self._lines("/logs/export", query)

    def list_log_filters(self, project: str) -> list[Document]:
        """A project's filters."""
        return list(self._ask("GET", "/logs/filters", query={"project": project}))

    def create_log_filter(self, group: str, metric: str, search: Document) -> Document:
        """Count what a search finds in a metric."""
        body = {"group": group, "metric": metric, "search": search}
        return dict(self._ask("POST", "/logs/filters", body=body))

    def change_log_filter(self, number: int, search: Document) -> Document:
        """Count what another search finds in the same metric."""
        return dict(self._ask("PUT", f"/logs/filters/{number}", body=search))

    def delete_log_filter(self, number: int) -> None:
        """Count no more."""
        self._ask("DELETE", f"/logs/filters/{number}")

    def list_log_outlets(self) -> list[Document]:
        """Places that lines are sent on to."""
        return list(self._ask("GET", "/logs/outlets"))

    def create_log_outlet(
        self,
        name: str,
        address: str,
        *,
        groups: Sequence[str] = ("*",),
        headers: dict[str, str] | None = None,
    ) -> Document:
        """Send lines on from now on."""
        body: Document = {"name": name, "address": address, "groups": list(groups)}
        if headers:  # for an HTTP collector alone
            body["headers"] = [{"name": name, "value": value} for name, value in headers.items()]
        return dict(self._ask("POST", "/logs/outlets", body=body))

    def show_log_outlet(self, number: int) -> Document:
        """An outlet."""
        return dict(self._ask("GET", f"/logs/outlets/{number}"))

    def pause_log_outlet(self, number: int) -> Document:
        """Send nothing for now."""
        return dict(self._ask("POST", f"/logs/outlets/{number}/pause"))

    def resume_log_outlet(self, number: int) -> Document:
        """Go on."""
        return dict(self._ask("POST", f"/logs/outlets/{number}/resume"))

    def delete_log_outlet(self, number: int) -> None:
        """Send no more."""
        self._ask("DELETE", f"/logs/outlets/{number}")
