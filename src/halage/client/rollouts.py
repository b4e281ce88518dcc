"""Calls about how releases take each other's place."""

from typing import Any
from urllib.parse import quote

from halage.client.connection import Connection

Document = dict[str, Any]


class RolloutCalls(Connection):
    """A method for each route about plans, swaps and reports; each raises ProblemError, ServerUnreachable."""

    def plan_deployment(
        self, project: str, environment: str, *, release: int | None = None, policy: str | None = None
    ) -> Document:
        """What a deployment would do: of the current release anew, or of one by its number."""
        path = f"{_environment(project, environment)}/deployments/plan"
        return dict(self._ask("POST", path, body={"release": release, "policy": policy}))

    def swap_environment(self, project: str, environment: str) -> Document:
        """Exchange what serves and what is kept; the answer is the deployment."""
        return dict(self._ask("POST", f"{_environment(project, environment)}/swap"))

    def report_deployment(self, deployment: int) -> Document:
        """What a deployment did, and what visitors got meanwhile."""
        return dict(self._ask("GET", f"/deployments/{deployment}/report"))


def _environment(project: str, environment: str) -> str:
    return f"/projects/{quote(project, safe='')}/environments/{quote(environment, safe='')}"
