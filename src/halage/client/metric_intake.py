"""The client's methods about metrics on their way in and out."""

from typing import Any
from urllib.parse import quote

from halage.client.connection import Connection

Document = dict[str, Any]


class MetricIntakeCalls(Connection):
    """Part of the client."""

    def put_metrics(self, project: str, environment: str, metrics: list[Document]) -> Document:
        """Keep metrics of an environment's own: all of them, or none."""
        path = f"/projects/{quote(project, safe='')}/environments/{quote(environment, safe='')}/metrics"
        return dict(self._ask("PUT", path, body={"metrics": metrics}))

    def show_metric_intake(self) -> Document:
        """What comes in of sites' own metrics, what was refused and why."""
        return dict(self._ask("GET", "/metrics/intake"))

    def export_metrics(self) -> str:
        """Everything that stands now, in Prometheus' text format."""
        return self._ask_text("GET", f"{self.url}/metrics")
