"""Projects: made whole, shown on one page, deleted without a trace but the journal."""

from dataclasses import replace

import pytest
from sqlalchemy import event

from halage.access.model import Role
from halage.access.service import Access
from halage.pipeline.model import RunState
from halage.project.errors import NoSuchProject, ProjectExists
from halage.project.service import Projects
from halage.source.errors import NameInvalid, RepositoryExists
from tests.controlplane import SHOP, ControlPlane, Ground, control_plane

FILES = {"halage.toml": 'kind = "node"\n[test]\ncommands = ["./test"]\n[run]\nstart = "node server.js"\n'}


async def _projects(ground: Ground, plane: ControlPlane, forgotten: list[str] | None = None) -> Projects:
    async def forget(project: str) -> None:
        assert not await plane.environments.list(project), "what is watched would be made anew"
        if forgotten is not None:
            forgotten.append(project)

    access = Access(ground.database, ground.clock, ground.directory / "key")
    await access.create_user("ada", actor="halage")
    return Projects(
        ground.database,
        access,
        ground.source,
        plane.builds,
        plane.environments,
        plane.pipeline,
        ground.accounts,
        forget_watched=forget,
        public_url="http://halage.test",
    )


async def test_a_new_project_has_its_environments_and_its_creator_as_administrator(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        projects = await _projects(ground, plane)
        project = await projects.create(SHOP, actor="ada")
        assert (project.name, project.kind, project.created_by) == (SHOP, None, "ada")
        overview = await projects.show(SHOP)
        assert overview.repository_url == "http://halage.test/git/shop.git"
        assert [each.name for each in overview.environments] == ["dev", "preprod", "prod"]
        assert overview.members == {"ada": Role.ADMIN.value}
        assert set(ground.balancer.routes) == {"shop.dev", "shop.preprod", "shop.prod"}
        with pytest.raises(ProjectExists, match="there is a project shop already; choose another name"):
            await projects.create(SHOP, actor="ada")
        with pytest.raises(NameInvalid):
            await projects.create("../shop", actor="ada")
        assert [each.name for each in await projects.list()] == [SHOP]
        assert list(await projects.list([])) == []


async def test_the_list_costs_one_statement_and_tells_the_kind_of_each_ones_last_site(
    ground: Ground,
) -> None:
    async with control_plane(ground) as plane:
        projects = await _projects(ground, plane)
        for name in (SHOP, "blog", "wiki"):
            await projects.create(name, actor="ada")
        run = await plane.push(FILES)
        await plane.run_until(run, RunState.WAITING)
        statements: list[str] = []

        @event.listens_for(ground.database.engine, "before_cursor_execute")
        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("SELECT"):
                statements.append(statement)

        listed = await projects.list(["blog", SHOP])
        assert [(each.name, each.kind) for each in listed] == [("blog", None), (SHOP, "node")]
        assert len(statements) == 1


async def test_a_project_that_was_made_by_half_is_completed(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def exists(_: str) -> None:
        raise RepositoryExists

    monkeypatch.setattr(ground.source, "create_repository", exists)  # the double's, not ours
    async with control_plane(ground) as plane:
        projects = await _projects(ground, plane)
        assert (await projects.create(SHOP, actor="ada")).name == SHOP


async def test_a_project_shows_its_kind_and_runs(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        projects = await _projects(ground, plane)
        await projects.create(SHOP, actor="ada")
        await plane.run_until(await plane.push(FILES), RunState.WAITING)
        overview = await projects.show(SHOP)
        assert overview.project.kind == "node"
        assert [run.state for run in overview.runs] == [RunState.WAITING]


async def test_deleting_a_project_under_way_leaves_the_journal_alone(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        forgotten: list[str] = []
        projects = await _projects(ground, plane, forgotten)
        await projects.create(SHOP, actor="ada")
        await plane.run_until(await plane.push(FILES), RunState.WAITING)
        ground.prober.answers.clear()
        await plane.push(FILES)
        await projects.delete(SHOP, actor="ada")
        ground.prober.answers.set()
        assert [unit for unit in ground.compute.running() if not unit.startswith("j-")] == []
        assert ground.balancer.routes == {}
        assert forgotten == [SHOP]
        with pytest.raises(NoSuchProject, match="there is no project shop"):
            await projects.show(SHOP)
        entries = await ground.entries()
        assert entries[-1].action == "project:Delete"
        again = await projects.create(SHOP, actor="ada")
        assert replace(again, created_at=0.0).kind is None, "nothing of the old one is left"
        assert list((await projects.show(SHOP)).runs) == []
    for name in ("work", "cache", "sites"):
        assert not (ground.directory / name / SHOP).exists()
