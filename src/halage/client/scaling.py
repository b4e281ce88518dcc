"""Scaling as Python methods of the client."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from halage.client.connection import Connection

Document = dict[str, Any]


class ScalingCalls(Connection):
    """A method for each route about scaling."""

    def show_scaling(
        self, project: str, environment: str, *, limit: int = 50, before: int | None = None
    ) -> Document:
        """How an environment's scaling stands, and its decisions."""
        query = {"limit": limit, "before": before}
        return dict(self._ask("GET", f"{_environment(project, environment)}/scaling", query=query))

    def suspend_scaling(self, project: str, environment: str, suspended: Sequence[str]) -> Document:
        """Suspend just these of `out`, `in`, `schedule`, `replace`."""
        path = f"{_environment(project, environment)}/scaling/suspended"
        return dict(self._ask("PUT", path, body={"suspended": list(suspended)}))

    def protect_instance(
        self, project: str, environment: str, instance: str, *, is_protected: bool
    ) -> Document:
        """Keep scaling from taking an instance away, or no longer."""
        path = f"{_environment(project, environment)}/instances/{quote(instance, safe='')}/protection"
        return dict(self._ask("PUT", path, body={"is_protected": is_protected}))

    def simulate_scaling(self, project: str, environment: str, wanted: Document) -> Document:
        """What the environment's scaling would have done; `wanted` is the body that the API takes."""
        path = f"{_environment(project, environment)}/scaling/simulate"
        return dict(self._ask("POST", path, body=wanted))


def _environment(project: str, environment: str) -> str:
    return f"/projects/{quote(project, safe='')}/environments/{quote(environment, safe='')}"
