"""Calls about the health of environments."""

from typing import Any
from urllib.parse import quote

from halage.client.connection import Connection

Document = dict[str, Any]


class HealthCalls(Connection):
    """A method for each route about health; each raises ProblemError, ServerUnreachable."""

    def show_environment_health(self, project: str, environment: str) -> Document:
        """The environment's status with its causes, and what is known of each instance."""
        return dict(self._ask("GET", f"{_place(project, environment)}/health"))

    def list_health_history(
        self, project: str, environment: str, *, from_: str | None = None, to: str | None = None
    ) -> list[Document]:
        """What its health was, oldest first. Moments are ISO 8601 with a zone; without: 24 hours."""
        query = {"from": from_, "to": to}
        return list(self._ask("GET", f"{_place(project, environment)}/health/history", query=query))

    def take_out_instance(
        self, project: str, environment: str, instance: str, *, replace: bool = False
    ) -> Document:
        """Take an instance out of the balancer; with `replace` another one serves in its place."""
        path = f"{_place(project, environment)}/instances/{quote(instance, safe='')}/take-out"
        return dict(self._ask("POST", path, body={"replace": replace}))

    def put_back_instance(self, project: str, environment: str, instance: str) -> Document:
        """Let an instance that was taken out serve again."""
        path = f"{_place(project, environment)}/instances/{quote(instance, safe='')}/put-back"
        return dict(self._ask("POST", path))


def _place(project: str, environment: str) -> str:
    return f"/projects/{quote(project, safe='')}/environments/{quote(environment, safe='')}"
