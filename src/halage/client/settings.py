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

    def create_environment(
        self, project: str, name: str, *, template: str | None = None, clone_of: str | None = None
    ) -> Document:
        """Make an environment; the answer has the deployment that fills a clone."""
        body = {"name": name, "template": template, "clone_of": clone_of}
        return dict(self._ask("POST", f"{_project(project)}/environments", body=body))

    def terminate_environment(self, project: str, environment: str) -> None:
        """Remove an environment with everything in it."""
        self._ask("DELETE", _environment(project, environment))

    def rebuild_environment(self, project: str, environment: str) -> Document:
        """End every instance and start the release anew; the answer is the deployment."""
        return dict(self._ask("POST", f"{_environment(project, environment)}/rebuild"))

    def save_template(self, project: str, environment: str, name: str) -> Document:
        """Keep an environment's settings under a name."""
        path = f"{_environment(project, environment)}/settings/template"
        return dict(self._ask("POST", path, body={"name": name}))

    def list_templates(self, project: str) -> list[Document]:
        """The templates of environments."""
        return list(self._ask("GET", f"{_project(project)}/templates"))

    def delete_template(self, project: str, template: str) -> None:
        """Forget a template."""
        self._ask("DELETE", f"{_project(project)}/templates/{quote(template, safe='')}")


def _project(project: str) -> str:
    return f"/projects/{quote(project, safe='')}"


def _environment(project: str, environment: str) -> str:
    return f"{_project(project)}/environments/{quote(environment, safe='')}"
