"""Projects: what people ask of them."""

import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from halage.access.model import Role
from halage.access.service import Access
from halage.base.database import Database
from halage.build.service import Builds
from halage.compute.accounts import Accounts
from halage.environment.service import Environments
from halage.pipeline.service import Pipeline
from halage.project import store
from halage.project.errors import NoSuchProject, ProjectExists
from halage.project.model import Overview, Project
from halage.site.flow import STANDARD_ENVIRONMENTS
from halage.site.model import EnvironmentPlan
from halage.source.errors import RepositoryExists
from halage.source.rules import validate_name
from halage.source.service import Source

SHOWN_RUNS = 10


class Projects:
    """The use cases of projects. Every method with a name raises NoSuchProject for an unknown one."""

    def __init__(
        self,
        database: Database,
        access: Access,
        source: Source,
        builds: Builds,
        environments: Environments,
        pipeline: Pipeline,
        accounts: Accounts,
        *,
        forget_watched: Callable[[str], Awaitable[None]],
        public_url: str,
    ) -> None:
        """`forget_watched` removes what monitoring keeps of a project."""
        self._database = database
        self._access = access
        self._source = source
        self._builds = builds
        self._environments = environments
        self._pipeline = pipeline
        self._accounts = accounts
        self._forget_watched = forget_watched
        self._public_url = public_url

    async def create(self, name: str, *, actor: str) -> Project:
        """Make a project with its repository, three environments and its creator as administrator.

        Raises ProjectExists, and NameInvalid for a name that cannot be a host name. What a crash
        left half made is completed by asking again.
        """
        validate_name(name)
        if await self._database.run(store.project_row, name) is not None:
            raise ProjectExists(f"there is a project {name} already; choose another name", project=name)
        with contextlib.suppress(RepositoryExists):  # an earlier attempt was cut off before it was recorded
            await self._source.create_repository(name)
        await self._environments.create(name, [EnvironmentPlan(env) for env in STANDARD_ENVIRONMENTS])
        await self._access.set_member(name, actor, Role.ADMIN, actor)
        await self._database.run(store.insert_project, name, actor)
        return await self._project(name)

    async def list(self, visible: Collection[str] | None = None) -> Sequence[Project]:
        """Projects by name; `visible` None means all."""
        rows = await self._database.run(store.project_rows_with_kind)
        return [_shown(row) for row in rows if visible is None or row.name in visible]

    async def show(self, name: str) -> Overview:
        """Everything of one project."""
        project = await self._project(name)
        members = await self._access.members(name)
        return Overview(
            project=project,
            repository_url=f"{self._public_url}/git/{name}.git",
            environments=tuple(await self._environments.list(name)),
            runs=tuple(await self._pipeline.runs(name, limit=SHOWN_RUNS)),
            members={user: role.value for user, role in members.items()},
        )

    async def delete(self, name: str, *, actor: str) -> None:
        """End every instance and remove everything but the journal. Cannot be undone."""
        await self._project(name)
        await self._pipeline.forget_project(name)
        await self._environments.delete(name)
        await self._builds.forget_project(name)
        # Once nothing of it runs that could still be watched.
        await self._forget_watched(name)
        await self._source.delete_repository(name)
        await self._access.forget_project(name)
        await self._database.run(self._accounts.forget, name)
        await self._database.run(store.delete_project, name, actor)

    async def _project(self, name: str) -> Project:
        rows = await self._database.run(store.project_rows_with_kind, name)
        if not rows:
            raise NoSuchProject(f"there is no project {name}", project=name)
        return _shown(rows[0])


def _shown(row: Any) -> Project:
    return Project(row.name, row.kind, row.created_at, row.created_by)
