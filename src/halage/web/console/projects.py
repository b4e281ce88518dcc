"""The list of projects and one project's page: colours first, then runs as pictures."""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from halage.access.rules import check
from halage.access.rules import visible_projects as visible_names
from halage.base.errors import Conflict, Invalid
from halage.environment.model import Environment
from halage.pipeline.model import Run
from halage.project.model import Overview, Project
from halage.web.console.console import Console, Visitor, add, see, status_of
from halage.web.console.live import Page, at_each_change, live

_RUNS_ON_A_PAGE = 20
_WAY = {"dev": 0, "test": 1, "preprod": 3, "staging": 3, "prod": 9, "production": 9}


class ProjectPages:
    """Projects, new project, one project, its older runs, its end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        add(router, "/projects", get=self.show_all, post=self.create)
        add(router, "/projects/new", get=self.ask_new)
        add(router, "/projects/live", get=self.follow_all)
        add(router, "/projects/{project}", get=self.show)
        add(router, "/projects/{project}/live", get=self.follow)
        add(router, "/projects/{project}/runs", get=self.show_runs)
        add(router, "/projects/{project}/delete", get=self.ask_delete, post=self.delete)

    async def show_all(self, request: Request) -> Response:
        """Each project that the visitor may see, with the colour of each environment."""
        visitor = await self._console.visitor(request)
        return self._console.page(request, "projects.html", cards=await self._cards(visitor))

    async def follow_all(self, request: Request) -> Response:
        """The same, live."""
        await self._console.visitor(request)

        async def source(page: Page) -> None:
            async def look() -> None:
                present = await self._console.visitor(request)  # projects come and go
                cards = self._console.render(request, "project_cards.html", cards=await self._cards(present))
                await page.show(projects=cards)

            await at_each_change(self._services.journal, None, look)

        return live(self._services, source, still_allowed=lambda: self._console.visitor(request))

    async def _cards(self, visitor: Visitor) -> list[tuple[Project, list[Environment], Run | None]]:
        cards = []
        for project in await visible_projects(self._console, visitor):
            environments = await self._services.environments.list(project.name)
            runs = await self._services.pipeline.runs(project.name, limit=1)
            cards.append((project, on_the_way(environments), runs[0] if runs else None))
        return cards

    async def ask_new(self, request: Request) -> Response:
        """The form for a new project."""
        visitor = await self._console.visitor(request)
        check(visitor.principal, "project:Create", "server")
        return self._console.page(request, "project_new.html", name="")

    async def create(self, request: Request) -> Response:
        """Create a project and show how to push to it."""
        visitor = await self._console.visitor(request)
        check(visitor.principal, "project:Create", "server")
        form = await self._console.form(request, visitor)
        name = form.text("name")
        try:
            await self._services.projects.create(name, actor=visitor.principal.name)
        except (Invalid, Conflict) as error:
            return self._console.page(
                request, "project_new.html", status_of(error), name=name, problem=error.message
            )
        return see(f"/projects/{name}")

    async def show(self, request: Request, project: str) -> Response:
        """One project: its environments in the order of the way of a change, its latest runs."""
        await self._console.visitor_of(request, project, "project:Show")
        overview = await self._services.projects.show(project)
        return self._console.page(request, "project.html", **_facts(overview))

    async def follow(self, request: Request, project: str) -> Response:
        """The same, live."""
        await self._console.visitor_of(request, project, "project:Show")

        async def source(page: Page) -> None:
            async def look() -> None:
                facts = _facts(await self._services.projects.show(project))
                await self._console.visitor(request)  # counts the alarms anew
                await page.show(
                    **{"alarm-count": self._console.alarm_count(request, project)},
                    environments=self._console.render(request, "project_environments.html", **facts),
                    runs=self._console.render(request, "run_list.html", **facts),
                )

            await at_each_change(self._services.journal, project, look)

        async def ask() -> None:
            await self._console.visitor_of(request, project, "project:Show")

        return live(self._services, source, still_allowed=ask)

    async def show_runs(self, request: Request, project: str, before: int | None = None) -> Response:
        """All runs, newest first, a page at a time."""
        await self._console.visitor_of(request, project, "pipeline:Show")
        runs = await self._services.pipeline.runs(project, limit=_RUNS_ON_A_PAGE + 1, before=before)
        return self._console.page(
            request,
            "runs.html",
            project=project,
            runs=runs[:_RUNS_ON_A_PAGE],
            older=runs[_RUNS_ON_A_PAGE - 1].id if len(runs) > _RUNS_ON_A_PAGE else None,
        )

    async def ask_delete(self, request: Request, project: str) -> Response:
        """What deleting the project means, and a form that asks for its name."""
        await self._console.visitor_of(request, project, "project:Delete")
        return self._console.page(request, "project_delete.html", project=project)

    async def delete(self, request: Request, project: str) -> Response:
        """Delete the project, once its name was typed."""
        visitor = await self._console.visitor_of(request, project, "project:Delete")
        form = await self._console.form(request, visitor)
        if form.text("name") != project:
            sentence = self._console.language(request).say("project_delete.wrong_name", project=project)
            return self._console.page(request, "project_delete.html", 422, project=project, problem=sentence)
        await self._services.projects.delete(project, actor=visitor.principal.name)
        return see("/projects")


async def visible_projects(console: Console, visitor: Visitor) -> Sequence[Project]:
    """The projects that a visitor may see, by name."""
    return await console.services.projects.list(visible_names(visitor.principal))


def on_the_way(environments: Sequence[Environment]) -> list[Environment]:
    """Environments in the order in which a change passes through them: dev first, prod last."""
    return sorted(environments, key=lambda environment: _WAY.get(environment.name, 2))


def _facts(overview: Overview) -> dict[str, object]:
    return {
        "project": overview.project.name,
        "overview": overview,
        "environments": on_the_way(overview.environments),
        "runs": overview.runs,
    }
