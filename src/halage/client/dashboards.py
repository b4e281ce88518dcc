"""Calls about dashboards."""

from typing import Any

from halage.client.connection import Connection

Document = dict[str, Any]


class DashboardCalls(Connection):
    """A method for each route about dashboards; each raises ProblemError, ServerUnreachable."""

    def list_dashboards(self, *, project: str | None = None) -> list[Document]:
        """The machine's, each environment's, those that people made."""
        return list(self._ask("GET", "/dashboards", query={"project": project}))

    def show_dashboard(self, dashboard: str) -> Document:
        """A dashboard with its widgets."""
        return dict(self._ask("GET", f"/dashboards/{dashboard}"))

    def create_dashboard(self, layout: Document, *, project: str | None = None) -> Document:
        """A new dashboard from a layout (`name`, `environment`, `range_s`, `widgets`)."""
        return dict(self._ask("POST", "/dashboards", body={**layout, "project": project}))

    def change_dashboard(self, dashboard: str, layout: Document, *, version: int) -> Document:
        """Save a layout over the version that it was made from."""
        body = {**layout, "version": version}
        return dict(self._ask("PUT", f"/dashboards/{dashboard}", body=body))

    def delete_dashboard(self, dashboard: str) -> None:
        """Delete a dashboard."""
        self._ask("DELETE", f"/dashboards/{dashboard}")
