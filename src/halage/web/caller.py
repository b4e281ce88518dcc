"""The caller of a route: who it is, and the one check that stands before each action."""

from collections.abc import Awaitable, Callable
from typing import Annotated, cast

from fastapi import Depends, Request, Security
from starlette.requests import HTTPConnection

from halage.access.model import Principal
from halage.access.rules import check, is_allowed, visible_projects
from halage.base.errors import NotAllowed, NotFound
from halage.web.authentication import bearer_scheme, cookie_scheme, recheck
from halage.web.services import Services
from halage.web.streams import EventStream, Produce


def services_of(connection: HTTPConnection) -> Services:
    """The services that the application was made with."""
    return cast(Services, connection.app.state.services)


class Caller:
    """The principal of one request (or WebSocket), and what it may do."""

    def __init__(self, request: HTTPConnection) -> None:
        self._request = request

    @property
    def principal(self) -> Principal:
        """Who calls, as the authentication in front of the routes found."""
        return cast(Principal, self._request.state.principal)

    @property
    def name(self) -> str:
        """The user's name, for the journal."""
        return self.principal.name

    def may(self, action: str, resource: str) -> bool:
        """Whether the action is allowed."""
        return is_allowed(self.principal, action, resource)

    def must(self, action: str, resource: str) -> None:
        """Raise NotAllowed unless the action is allowed; note both for the access log."""
        self._note(action, resource)
        check(self.principal, action, resource)

    def must_in(self, project: str, action: str, environment: str | None = None) -> None:
        """The same for an action inside a project; raises NotFound for a project not to be seen."""
        resource = f"project/{project}"
        if environment is not None:
            resource += f"/environment/{environment}"
        self._note(action, resource)
        if not self.sees(project):
            raise NotFound(f"There is no project {project}, or you may not see it.", project=project)
        check(self.principal, action, resource)

    def must_in_project_of(self, project: str, action: str, thing: str) -> None:
        """The same for a thing with a number of its own; its project is not given away."""
        self._note(action, thing)
        if not self.sees(project):
            raise no_such(thing)
        self.must_in(project, action)

    def sees(self, project: str) -> bool:
        """Whether the project may be seen at all."""
        return self.may("project:Show", f"project/{project}")

    def projects_where(self, action: str) -> frozenset[str] | None:
        """The projects in which the action is allowed; None: in all of them."""
        seen = visible_projects(self.principal)
        if seen is None:
            return None
        return frozenset(project for project in seen if self.may(action, f"project/{project}"))

    def stream(self, produce: Produce) -> EventStream:
        """A stream of events that ends with the caller's right to it, and with the server."""
        stopping = services_of(self._request).stopping
        return EventStream(produce, stopping=stopping, still_allowed=self.still_allowed())

    def still_allowed(self) -> Callable[[], Awaitable[None]]:
        """A check for an answer that takes long: raises once the credential or the right has ended."""
        services = services_of(self._request)
        state = self._request.state
        action, resource = state.action, state.resource
        again = recheck(services, self._request)

        async def still() -> None:
            await again()
            if resource.startswith("project/") and not self.may(action, resource):
                raise NotAllowed(f"You may no longer see {resource}.")

        return still

    def _note(self, action: str, resource: str) -> None:
        self._request.state.action = action
        self._request.state.resource = resource


def no_such(thing: str) -> NotFound:
    """The one answer for a thing that is not there and for one that may not be seen."""
    return NotFound(f"There is no {thing}, or you may not see it.")


async def signed_in(
    request: Request,
    _token: Annotated[object, Security(bearer_scheme)],
    _session: Annotated[object, Security(cookie_scheme)],
) -> Caller:
    """The caller; the two schemes are here for the OpenAPI document only."""
    return Caller(request)


Signed = Annotated[Caller, Depends(signed_in)]
Door = Annotated[Services, Depends(services_of)]
