"""Alarms as Python methods of the client."""

from typing import Any

from halage.client.connection import Connection

Document = dict[str, Any]


class AlarmCalls(Connection):
    """A method for each route about alarms."""

    def list_alarms(
        self, *, project: str | None = None, environment: str | None = None, state: str | None = None
    ) -> list[Document]:
        """Alarms; `state` is OK, ALARM or INSUFFICIENT_DATA."""
        query = {"project": project, "environment": environment, "state": state}
        return list(self._ask("GET", "/alarms", query=query))

    def create_alarm(self, definition: Document) -> Document:
        """Define an alarm; without `project` it is one of the server."""
        return dict(self._ask("POST", "/alarms", body=definition))

    def show_alarm(self, alarm: int) -> Document:
        """An alarm, and what it says now."""
        return dict(self._ask("GET", f"/alarms/{alarm}"))

    def set_alarm(self, alarm: int, definition: Document) -> Document:
        """Give an alarm another definition, whole; masked secrets of the one that was read stay."""
        return dict(self._ask("PUT", f"/alarms/{alarm}", body=definition))

    def delete_alarm(self, alarm: int) -> None:
        """Delete an alarm with its history."""
        self._ask("DELETE", f"/alarms/{alarm}")

    def list_alarm_changes(self, alarm: int, *, before: int | None = None, limit: int = 50) -> list[Document]:
        """Its changes, newest first."""
        query = {"before": before, "limit": limit}
        return list(self._ask("GET", f"/alarms/{alarm}/history", query=query))

    def test_alarm(self, alarm: int, *, send: bool = False) -> Document:
        """What it would say and do now; with `send`, messages go to those whom it tells."""
        return dict(self._ask("POST", f"/alarms/{alarm}/test", body={"send": send}))

    def disable_alarm(self, alarm: int, *, until: str | None = None) -> Document:
        """Hold back what it does; `until` is ISO 8601 with a zone."""
        return dict(self._ask("POST", f"/alarms/{alarm}/disable", body={"until": until}))

    def enable_alarm(self, alarm: int) -> Document:
        """Let it do again what it does."""
        return dict(self._ask("POST", f"/alarms/{alarm}/enable"))
