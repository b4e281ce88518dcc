"""What an entry of the journal means to those who are told of an environment. Pure."""

from dataclasses import dataclass
from typing import Any, Protocol

_OF_DEPLOYMENTS = {
    "environment:Deploy": ("started", "deployment started"),
    "environment:Deployed": ("succeeded", "deployment succeeded"),
    "environment:DeploymentFailed": ("failed", "deployment failed"),
    "environment:DeploymentRefused": ("failed", "deployment was refused"),
    "environment:RolledBack": ("rolled_back", "deployment was rolled back"),
}
_SCALE = "environment:Scale"
_HEALTH = "environment:HealthChanged"
ACTIONS = (*_OF_DEPLOYMENTS, _SCALE, _HEALTH)
"""Entries that somebody may be told of."""
_UNWELL = ("degraded", "severe")
_WELL = ("ok", "info", "warning")


class EntryLike(Protocol):
    """What is read of an entry of the journal."""

    @property
    def action(self) -> str:
        """What was done."""
        ...

    @property
    def subject(self) -> str:
        """To which thing."""
        ...

    @property
    def details(self) -> Any:
        """What else there is to say."""
        ...

    @property
    def before(self) -> Any:
        """As it was."""
        ...

    @property
    def after(self) -> Any:
        """As it is."""
        ...


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told: of which event, in a line, and at length."""

    event: str
    title: str
    body: str


def place_of(subject: str) -> tuple[str, str]:
    """The project and the environment that an entry is about."""
    parts = [*subject.split("/"), "", "", ""]
    return parts[1], parts[3]


def notice_of(entry: EntryLike) -> Notice | None:
    """What people are told of an entry; None when it is nothing to tell of."""
    project, environment = place_of(entry.subject)
    where = f"{environment} of {project}"
    details, before, after = entry.details or {}, entry.before or {}, entry.after or {}
    if entry.action in _OF_DEPLOYMENTS:
        event, words = _OF_DEPLOYMENTS[entry.action]
        number = details.get("release", after.get("release"))
        of = f" (v{number})" if number is not None else ""
        return Notice(event, f"{where}: {words}{of}", details.get("reason") or f"{where}: {words}{of}.")
    if entry.action == _SCALE:
        why = f": {details['reason']}" if details.get("reason") else ""
        words = f"{before.get('instances')} to {after.get('instances')} instances"
        return Notice("scaled", f"{where}: {words}", f"{where} goes from {words}{why}.")
    if entry.action == _HEALTH:
        return _health(where, before.get("status"), after.get("status"), details)
    return None


def _health(where: str, before: Any, after: Any, details: Any) -> Notice | None:
    causes = "\n".join([str(details.get("summary", "")), *map(str, details.get("causes", ()))]).strip()
    if after in _UNWELL and before not in _UNWELL:
        return Notice("degraded", f"{where}: {after}", causes or f"{where} is {after}.")
    if after in _WELL and before in _UNWELL:
        return Notice("recovered", f"{where}: {after} again", causes or f"{where} is {after} again.")
    return None
