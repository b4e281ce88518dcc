"""Making environments: empty, of a template, as a clone; saving a template, rebuilding, terminating."""

from fastapi import APIRouter, Request, Response

from halage.base.errors import Conflict, HalageError, Invalid, NotFound
from halage.web.console.console import Console, Form, add, see, status_of


class MakingPages:
    """The page that makes an environment in a project, and what is done with one as a whole."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services
        self._making = console.services.making

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        project = "/projects/{project}"
        add(router, f"{project}/environments", get=self.show_new, post=self.create)
        add(router, f"{project}/templates/{{template}}/delete", post=self.delete_template)
        base = f"{project}/environments/{{environment}}"
        add(router, f"{base}/manage", get=self.show)
        add(router, f"{base}/clone", post=self.clone)
        add(router, f"{base}/template", post=self.save_template)
        add(router, f"{base}/rebuild", post=self.rebuild)
        add(router, f"{base}/terminate", get=self.ask_terminate, post=self.terminate)

    # -- in a project

    async def show_new(self, request: Request, project: str) -> Response:
        """A form for a new environment, and the templates of the project."""
        await self._console.visitor_of(request, project, "environment:Show")
        return await self._new_page(request, project)

    async def create(self, request: Request, project: str) -> Response:
        """Make an environment: empty, or of a template."""
        visitor = await self._console.visitor_of(request, project, "environment:Create")
        form = await self._console.form(request, visitor)
        name, template = form.text("name"), form.optional("template")
        try:
            made = await self._making.create(project, name, template=template, actor=visitor.principal.name)
        except (Invalid, Conflict, NotFound) as error:
            return await self._new_page(request, project, form, error)
        return see(f"/projects/{project}/environments/{made.environment}")

    async def delete_template(self, request: Request, project: str, template: str) -> Response:
        """Forget a template."""
        visitor = await self._console.visitor_of(request, project, "environment:Configure")
        await self._console.form(request, visitor)
        await self._making.delete_template(project, template, actor=visitor.principal.name)
        return see(f"/projects/{project}/environments")

    async def _new_page(
        self, request: Request, project: str, typed: Form | None = None, error: HalageError | None = None
    ) -> Response:
        return self._console.page(
            request,
            "environment_new.html",
            status_of(error) if error else 200,
            project=project,
            templates=await self._making.templates(project),
            typed=typed or Form(),
            problem=error.message if error else None,
        )

    # -- of an environment

    async def show(self, request: Request, project: str, environment: str) -> Response:
        """What can be done with it as a whole."""
        await self._console.visitor_at(request, project, environment)
        return await self._page(request, project, environment)

    async def clone(self, request: Request, project: str, environment: str) -> Response:
        """Make another one like it."""
        visitor = await self._console.visitor_of(request, project, "environment:Create")
        form = await self._console.form(request, visitor)
        try:
            made = await self._making.clone(
                project, environment, form.text("name"), actor=visitor.principal.name
            )
        except (Invalid, Conflict) as error:
            return await self._page(request, project, environment, form, error)
        return see(f"/projects/{project}/environments/{made.environment}")

    async def save_template(self, request: Request, project: str, environment: str) -> Response:
        """Keep its settings under a name."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Configure")
        form = await self._console.form(request, visitor)
        try:
            await self._making.save_template(
                project, environment, form.text("template"), actor=visitor.principal.name
            )
        except Invalid as error:
            return await self._page(request, project, environment, form, error)
        return see(f"/projects/{project}/environments")

    async def rebuild(self, request: Request, project: str, environment: str) -> Response:
        """End every instance and start the release anew."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Restart")
        await self._console.form(request, visitor)
        try:
            await self._making.rebuild(project, environment, actor=visitor.principal.name)
        except Conflict as error:
            return await self._page(request, project, environment, None, error)
        return see(f"/projects/{project}/environments/{environment}")

    async def ask_terminate(self, request: Request, project: str, environment: str) -> Response:
        """What goes with it and what stays, and a form that asks for its name."""
        await self._console.visitor_at(request, project, environment, "environment:Terminate")
        return await self._terminate_page(request, project, environment)

    async def terminate(self, request: Request, project: str, environment: str) -> Response:
        """Remove it, once its name was typed."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Terminate")
        form = await self._console.form(request, visitor)
        if form.text("name") != environment:
            sentence = self._console.language(request).say("terminate.wrong_name", environment=environment)
            return await self._terminate_page(request, project, environment, 422, sentence)
        await self._making.terminate(project, environment, actor=visitor.principal.name)
        return see(f"/projects/{project}")

    async def _page(
        self,
        request: Request,
        project: str,
        environment: str,
        typed: Form | None = None,
        error: HalageError | None = None,
    ) -> Response:
        return self._console.page(
            request,
            "environment_manage.html",
            status_of(error) if error else 200,
            project=project,
            environment=await self._services.environments.show(project, environment),
            typed=typed or Form(),
            problem=error.message if error else None,
        )

    async def _terminate_page(
        self,
        request: Request,
        project: str,
        environment: str,
        status: int = 200,
        problem: str | None = None,
    ) -> Response:
        return self._console.page(
            request,
            "environment_terminate.html",
            status,
            project=project,
            environment=await self._services.environments.show(project, environment),
            problem=problem,
        )
