"""The API as Python methods: each returns the JSON of the answer. The OpenAPI document names its members."""

from collections.abc import Iterator
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

from halage.client.alarms import AlarmCalls
from halage.client.certificates import CertificateCalls
from halage.client.connection import StreamEvent
from halage.client.dashboards import DashboardCalls
from halage.client.executions import ExecutionCalls
from halage.client.health import HealthCalls
from halage.client.logs import LogCalls
from halage.client.metric_intake import MetricIntakeCalls
from halage.client.metrics import MetricCalls
from halage.client.rollouts import RolloutCalls
from halage.client.scaling import ScalingCalls
from halage.client.settings import SettingsCalls

Document = dict[str, Any]


class EventsWanted(TypedDict, total=False):
    """Which events, as the API's parameters: moments are ISO 8601, `*` in an action stands for any part."""

    project: str | None
    environment: str | None
    actor: str | None
    action: str | None
    subject: str | None
    origin: str | None
    text: str | None
    since: str | None
    until: str | None


class Client(
    MetricCalls,
    MetricIntakeCalls,
    AlarmCalls,
    LogCalls,
    DashboardCalls,
    HealthCalls,
    SettingsCalls,
    RolloutCalls,
    ScalingCalls,
    CertificateCalls,
    ExecutionCalls,
):
    """A method for each route, named by its operation id; each raises ProblemError, ServerUnreachable."""

    def show_health(self) -> Document:
        """That the server answers, and its version. Needs no token."""
        return dict(self._ask("GET", "/health"))

    def login(self, user: str, password: str) -> Document:
        """A token for name and password. Needs no token."""
        return dict(self._ask("POST", "/login", body={"user": user, "password": password}))

    def show_me(self) -> Document:
        """Who the token belongs to."""
        return dict(self._ask("GET", "/me"))

    def list_users(self) -> list[Document]:
        """Everyone."""
        return list(self._ask("GET", "/users"))

    def add_user(self, name: str, *, password: str | None = None, is_admin: bool = False) -> Document:
        """Add a person; the answer has the link for their first sign-in."""
        body = {"name": name, "password": password, "is_admin": is_admin}
        return dict(self._ask("POST", "/users", body=body))

    def end_user(self, name: str) -> None:
        """Let a person in no more."""
        self._ask("DELETE", f"/users/{_part(name)}")

    def create_login_link(self, name: str) -> Document:
        """A new one-time link to sign in."""
        return dict(self._ask("POST", f"/users/{_part(name)}/login-link"))

    def list_tokens(self, user: str | None = None) -> list[Document]:
        """Tokens and git credentials."""
        return list(self._ask("GET", "/tokens", query={"user": user}))

    def create_token(self, name: str, *, lifetime_s: int | None = None) -> Document:
        """A new API token; its secret is `token`. Without a lifetime it lasts until it is revoked."""
        return dict(self._ask("POST", "/tokens", body={"name": name, "lifetime_s": lifetime_s}))

    def revoke_token(self, token_id: str) -> None:
        """End a token."""
        self._ask("DELETE", f"/tokens/{_part(token_id)}")

    def create_git_credential(self) -> Document:
        """A new `username` and `password` for git."""
        return dict(self._ask("POST", "/git-credentials"))

    def list_projects(self) -> list[Document]:
        """The projects that may be seen."""
        return list(self._ask("GET", "/projects"))

    def create_project(self, name: str) -> Document:
        """A new project."""
        return dict(self._ask("POST", "/projects", body={"name": name}))

    def show_project(self, project: str) -> Document:
        """A project with its environments, latest runs and members."""
        return dict(self._ask("GET", f"/projects/{_part(project)}"))

    def delete_project(self, project: str) -> None:
        """Delete a project with everything that belongs to it."""
        self._ask("DELETE", f"/projects/{_part(project)}")

    def list_members(self, project: str) -> list[Document]:
        """Who may do what in a project."""
        return list(self._ask("GET", f"/projects/{_part(project)}/members"))

    def set_member(self, project: str, user: str, role: str) -> Document:
        """Give a person a role."""
        path = f"/projects/{_part(project)}/members/{_part(user)}"
        return dict(self._ask("PUT", path, body={"role": role}))

    def remove_member(self, project: str, user: str) -> None:
        """Take a person's role away."""
        self._ask("DELETE", f"/projects/{_part(project)}/members/{_part(user)}")

    def list_runs(self, project: str, *, limit: int = 20, before: int | None = None) -> list[Document]:
        """A project's runs, newest first."""
        query = {"limit": limit, "before": before}
        return list(self._ask("GET", f"/projects/{_part(project)}/runs", query=query))

    def show_run(self, run: int) -> Document:
        """A run with its stages."""
        return dict(self._ask("GET", f"/runs/{run}"))

    def cancel_run(self, run: int) -> Document:
        """End a run."""
        return dict(self._ask("POST", f"/runs/{run}/cancel"))

    def retry_run(self, run: int, *, stage: str | None = None) -> Document:
        """Start a run again from a stage on."""
        return dict(self._ask("POST", f"/runs/{run}/retry", body={"stage": stage}))

    def approve_run(self, run: int, *, comment: str = "") -> Document:
        """Approve a run that waits."""
        return dict(self._ask("POST", f"/runs/{run}/approve", body={"comment": comment}))

    def reject_run(self, run: int, *, comment: str = "") -> Document:
        """Reject a run that waits."""
        return dict(self._ask("POST", f"/runs/{run}/reject", body={"comment": comment}))

    def approve_project(self, project: str, *, comment: str = "") -> Document:
        """Approve the project's run that waits."""
        return dict(self._ask("POST", f"/projects/{_part(project)}/approve", body={"comment": comment}))

    def reject_project(self, project: str, *, comment: str = "") -> Document:
        """Reject the project's run that waits."""
        return dict(self._ask("POST", f"/projects/{_part(project)}/reject", body={"comment": comment}))

    def stream_run(self, run: int) -> Iterator[StreamEvent]:
        """`run` at once and at each change, `console` for each line of its jobs; ends with the run."""
        return self._follow(f"/runs/{run}/stream")

    def show_job(self, job: int) -> Document:
        """A job with its test report."""
        return dict(self._ask("GET", f"/jobs/{job}"))

    def read_console(self, job: int, *, from_line: int = 0, limit: int = 1000) -> list[Document]:
        """Lines of a job's console."""
        query = {"from": from_line, "limit": limit}
        return list(self._ask("GET", f"/jobs/{job}/console", query=query))

    def follow_console(self, job: int, *, from_line: int = 0) -> Iterator[Document]:
        """Lines of a job's console as they come; ends with the job."""
        last_id = str(from_line - 1) if from_line else None
        for event in self._follow(f"/jobs/{job}/console/stream", last_id=last_id):
            yield event.body

    def list_environments(self, project: str) -> list[Document]:
        """A project's environments."""
        return list(self._ask("GET", f"/projects/{_part(project)}/environments"))

    def show_environment(self, project: str, environment: str) -> Document:
        """An environment with its instances."""
        return dict(self._ask("GET", _environment(project, environment)))

    def restart_environment(self, project: str, environment: str) -> Document:
        """Replace the instances one by one; the answer is the deployment."""
        return dict(self._ask("POST", f"{_environment(project, environment)}/restart"))

    def roll_back_environment(
        self, project: str, environment: str, *, release: int | None = None
    ) -> Document:
        """Return to the last good release, or to one by its number; the answer is the deployment."""
        path = f"{_environment(project, environment)}/rollback"
        return dict(self._ask("POST", path, body={"release": release}))

    def scale_environment(
        self, project: str, environment: str, instances: int | None, *, process: str = "web"
    ) -> Document:
        """Have so many instances from now on; None: as many as halage.toml says. The answer is it."""
        path = f"{_environment(project, environment)}/scale"
        return dict(self._ask("POST", path, body={"instances": instances, "process": process}))

    def list_releases(self, project: str, environment: str) -> list[Document]:
        """The releases that are kept."""
        return list(self._ask("GET", f"{_environment(project, environment)}/releases"))

    def list_deployments(self, project: str, environment: str, *, limit: int = 20) -> list[Document]:
        """An environment's deployments, newest first."""
        path = f"{_environment(project, environment)}/deployments"
        return list(self._ask("GET", path, query={"limit": limit}))

    def read_logs(self, project: str, environment: str, *, lines: int = 200) -> list[Document]:
        """The last lines that the instances wrote."""
        path = f"{_environment(project, environment)}/logs"
        return list(self._ask("GET", path, query={"lines": lines}))

    def follow_logs(self, project: str, environment: str) -> Iterator[Document]:
        """What the instances write, from now on."""
        for event in self._follow(f"{_environment(project, environment)}/logs/stream"):
            yield event.body

    def list_variables(self, project: str, environment: str) -> list[Document]:
        """The variables that people set."""
        return list(self._ask("GET", f"{_environment(project, environment)}/variables"))

    def set_variable(
        self, project: str, environment: str, name: str, value: str, *, is_secret: bool = False
    ) -> None:
        """Set a variable."""
        path = f"{_environment(project, environment)}/variables/{_part(name)}"
        self._ask("PUT", path, body={"value": value, "is_secret": is_secret})

    def unset_variable(self, project: str, environment: str, name: str) -> None:
        """Remove a variable."""
        self._ask("DELETE", f"{_environment(project, environment)}/variables/{_part(name)}")

    def show_deployment(self, deployment: int) -> Document:
        """A deployment with its time by phase."""
        return dict(self._ask("GET", f"/deployments/{deployment}"))

    def abort_deployment(self, deployment: int) -> Document:
        """End a deployment that is under way."""
        return dict(self._ask("POST", f"/deployments/{deployment}/abort"))

    def list_events(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
        **wanted: Unpack[EventsWanted],
    ) -> list[Document]:
        """Events, oldest first."""
        query = {**wanted, "after": after, "before": before, "limit": limit}
        return list(self._ask("GET", "/events", query=query))

    def follow_events(
        self, *, after: int | None = None, **wanted: Unpack[EventsWanted]
    ) -> Iterator[Document]:
        """Events as they happen, those after one first."""
        last_id = None if after is None else str(after)
        for event in self._follow("/events/stream", query={**wanted}, last_id=last_id):
            yield event.body

    def export_events(self, format_: str = "jsonl", **wanted: Unpack[EventsWanted]) -> Iterator[bytes]:
        """All events, oldest first, as a file's bytes piece by piece: `jsonl` or `csv`."""
        return self._download("/events/export", query={**wanted, "format": format_})


def _part(text: str) -> str:
    return quote(text, safe="")


def _environment(project: str, environment: str) -> str:
    return f"/projects/{_part(project)}/environments/{_part(environment)}"
