"""Who may do what to which thing. Pure: everything that counts is in the principal.

A resource is `server`, `user/NAME`, `project/NAME` or `project/NAME/environment/ENV`. What is not
written in these tables is not allowed.
"""

from halage.access.errors import Forbidden
from halage.access.model import Principal, Role

PROJECT_ACTIONS = {
    "project:Show": Role.VIEWER,
    "pipeline:Show": Role.VIEWER,
    "environment:Show": Role.VIEWER,
    "build:Show": Role.VIEWER,
    "source:Pull": Role.VIEWER,
    "journal:Show": Role.VIEWER,
    "source:Push": Role.DEVELOPER,
    "pipeline:Approve": Role.DEVELOPER,
    "pipeline:Reject": Role.DEVELOPER,
    "pipeline:Cancel": Role.DEVELOPER,
    "pipeline:Retry": Role.DEVELOPER,
    "environment:Deploy": Role.DEVELOPER,
    "environment:Rollback": Role.DEVELOPER,
    "environment:Restart": Role.DEVELOPER,
    "environment:SetVariable": Role.DEVELOPER,
    "environment:Scale": Role.DEVELOPER,
    "environment:TakeOut": Role.DEVELOPER,
    "environment:PutBack": Role.DEVELOPER,
    "environment:Configure": Role.DEVELOPER,
    "environment:Create": Role.DEVELOPER,
    "environment:Terminate": Role.ADMIN,
    "environment:SetCertificate": Role.DEVELOPER,
    "environment:Execute": Role.DEVELOPER,
    "monitor:Show": Role.VIEWER,
    "monitor:ReadLogs": Role.VIEWER,
    "monitor:PutMetric": Role.DEVELOPER,
    "monitor:SetAlarm": Role.DEVELOPER,
    "monitor:SetDashboard": Role.DEVELOPER,
    "monitor:SetLogFilter": Role.DEVELOPER,
    "project:Delete": Role.ADMIN,
    "project:SetMember": Role.ADMIN,
}
"""The least role in the project that an action on it, or on one of its environments, needs."""

OWN_ACTIONS = frozenset({"access:ManageOwn"})
"""On `user/NAME`: NAME alone (and administrators of the server)."""

SIGNED_IN_ACTIONS = frozenset({"project:List", "monitor:ShowMachine", "server:ShowAuthority"})
"""On `server`: everyone who is signed in; what is listed is what they may see."""

SERVER_ACTIONS = frozenset(
    {"project:Create", "access:ManageUsers", "server:Show", "server:SetCertificate", "monitor:SetOutlet"}
)
"""Administrators of the server alone, on whatever resource."""

ACTIONS = frozenset(PROJECT_ACTIONS) | OWN_ACTIONS | SIGNED_IN_ACTIONS | SERVER_ACTIONS

GIT_ACTIONS = frozenset({"source:Pull", "source:Push"})
"""All that a git credential is good for, whoever owns it."""


def is_allowed(principal: Principal, action: str, resource: str) -> bool:
    """Whether the principal may do this to that. Raises ValueError for an action that does not exist.

    A resource that cannot be read as one is allowed to nobody.
    """
    _check_action(action)
    kind, name = _parse(resource)
    if kind is None or (principal.via == "git" and action not in GIT_ACTIONS):
        return False
    if principal.is_admin:
        return True
    if kind == "project" and (needed := PROJECT_ACTIONS.get(action)) is not None:
        role = principal.roles.get(name)
        return role is not None and role.includes(needed)
    if kind == "user":
        return action in OWN_ACTIONS and name == principal.name
    return kind == "server" and action in SIGNED_IN_ACTIONS


def check(principal: Principal, action: str, resource: str) -> None:
    """Return when the principal may do this; raise Forbidden (a NotAllowed) that says what it needs.

    Call it before looking for the thing itself: a project that one may not see and a project that
    does not exist then give the same answer.
    """
    if is_allowed(principal, action, resource):
        return
    needed = needed_for(principal, action, resource)
    raise Forbidden(
        f"{principal.name} may not do {action} on {resource}: it needs {needed}",
        user=principal.name,
        action=action,
        resource=resource,
        needed=needed,
    )


def needed_for(principal: Principal, action: str, resource: str) -> str:
    """What someone must be to do this, in words for a message."""
    _check_action(action)
    if principal.via == "git" and action not in GIT_ACTIONS:
        return "an API token or a session (a git credential opens git alone)"
    kind, name = _parse(resource)
    if kind == "project" and action in PROJECT_ACTIONS:
        return f"the role {PROJECT_ACTIONS[action]} in the project {name}, if there is such a project"
    if action in OWN_ACTIONS and kind == "user":
        return f"{name} in person or an administrator of the server"
    return "an administrator of the server"


def visible_projects(principal: Principal) -> frozenset[str] | None:
    """The projects that the principal may see; None means all of them."""
    if principal.via == "git":
        return frozenset()
    return None if principal.is_admin else frozenset(principal.roles)


def _check_action(action: str) -> None:
    if action not in ACTIONS:
        raise ValueError(f"no such action: {action!r}; add it to halage.access.rules")


def _parse(resource: str) -> tuple[str | None, str]:
    match resource.split("/"):
        case ["server"]:
            return "server", ""
        case ["user", name] if name:
            return "user", name
        case ["project", name] if name:
            return "project", name
        case ["project", name, "environment", environment] if name and environment:
            return "project", name
    return None, ""
