"""The scaling of an environment: how it stands, what was decided and why, what other settings would do."""

import base64

from fastapi import APIRouter, Request, Response

from halage.base.errors import HalageError, Invalid
from halage.environment.autoscaling.drawing import Titles, draw
from halage.environment.autoscaling.simulation import SimulatedSite, Simulation
from halage.environment.scaling_service import PROCESSES, WhatIf
from halage.web.console.console import Console, add, see, status_of

DAYS_S = 7 * 86400
_ASKED = ("capacity", "boot", "target", "minimum", "maximum", "static")
"""Fields of the form that asks what would have been."""


class ScalingPages:
    """The page of an environment's scaling, and what can be held on it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        base = "/projects/{project}/environments/{environment}"
        add(router, f"{base}/scaling", get=self.show)
        add(router, f"{base}/scaling/suspended", post=self.suspend)
        add(router, f"{base}/instances/{{instance}}/protection", post=self.protect)

    async def show(self, request: Request, project: str, environment: str) -> Response:
        """The whole page; with a capacity in its address also what the last seven days would have needed."""
        await self._console.visitor_at(request, project, environment)
        asked = {name: request.query_params.get(name, "").strip() for name in _ASKED}
        found, problem, status = None, None, 200
        if asked["capacity"]:
            try:
                found = await self._simulated(project, environment, asked)
            except HalageError as error:
                problem, status = error.message, status_of(error)
        language = self._console.language(request)
        titles = Titles(language.say("scaling.drawn_requests"), language.say("scaling.drawn_instances"))
        return self._console.page(
            request,
            "environment_scaling.html",
            status,
            project=project,
            environment=await self._services.environments.show(project, environment),
            scaling=await self._services.scaling.show(project, environment),
            suspendable=PROCESSES,
            asked=asked,
            simulation=found,
            picture=_picture(found, titles) if found is not None else None,
            problem=problem,
        )

    async def suspend(self, request: Request, project: str, environment: str) -> Response:
        """Suspend just what the form has ticked."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Scale")
        form = await self._console.form(request, visitor)
        chosen = [each for each in PROCESSES if form.text(each) == "yes"]
        actor = visitor.principal.name
        await self._services.scaling.suspend(project, environment, chosen, actor=actor)
        return see(_address(project, environment))

    async def protect(self, request: Request, project: str, environment: str, instance: str) -> Response:
        """Keep scaling from taking an instance away, or no longer."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Scale")
        form = await self._console.form(request, visitor)
        is_protected, actor = form.text("is_protected") == "yes", visitor.principal.name
        await self._services.scaling.protect(project, environment, instance, is_protected, actor=actor)
        return see(_address(project, environment))

    async def _simulated(self, project: str, environment: str, asked: dict[str, str]) -> Simulation:
        target = _number("target", asked["target"])
        what_if = WhatIf(
            SimulatedSite(
                _number("capacity", asked["capacity"]) or 0.0, _number("boot", asked["boot"]) or 20.0
            ),
            minimum=_whole("minimum", asked["minimum"], 100),
            maximum=_whole("maximum", asked["maximum"], 1000),
            targets=None if target is None else {"requests": target},
            static=_whole("static", asked["static"], 10_000),
        )
        end = self._services.clock.now()
        return await self._services.scaling.simulate_own(project, environment, end - DAYS_S, end, what_if)


def _picture(found: Simulation, titles: Titles) -> str:
    """The drawing as the address of an image: so the page's policy lets it bring its own colours."""
    encoded = base64.b64encode(draw(found, titles).encode()).decode()
    return f"data:image/svg+xml;base64,{encoded}"


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1e9:
        raise Invalid(f"{name}: write a number over 0, not {text[:40]!r}.")
    return value


def _whole(name: str, text: str, most: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= most):
        raise Invalid(f"{name}: write a whole number from 1 to {most}, not {text[:40]!r}.")
    return int(text)


def _address(project: str, environment: str) -> str:
    return f"/projects/{project}/environments/{environment}/scaling"
