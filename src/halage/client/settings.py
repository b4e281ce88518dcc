"""Settings of environments as Python methods of the client."""

from typing import Any
from urllib.parse import quote

from halage.client.connection import Connection

Document = dict[str, Any]


class SettingsCalls(Connection):
    """A method for each route about settings."""

    def show_settings(self, project: str, environment: str, *, release: int | None = None) -> Document:
        """Every setting with the value that holds and where it comes from."""
        path = f"{_environment(project, environment)}/settings"
        return dict(self._ask("GET", path, query={"release": release}))

    def change_settings(self, project: str, environment: str, wish: Document) -> Document:
        """Set and unset settings; the answer has the differences and the deployment."""
        return dict(self._ask("PATCH", f"{_environment(project, environment)}/settings", body=wish))

    def list_settings_changes(self, project: str, environment: str, *, limit: int = 50) -> list[Document]:
        """The changes that were made, newest first."""
        path = f"{_environment(project, environment)}/settings/history"
        return list(self._ask("GET", path, query={"limit": limit}))


def _environment(project: str, environment: str) -> str:
    return f"/projects/{quote(project, safe='')}/environments/{quote(environment, safe='')}"
