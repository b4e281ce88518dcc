"""The services on PostgreSQL, which is one setting away: there, store functions run in threads."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from halage.access.errors import BadCredential
from halage.access.model import Role
from halage.access.service import Access
from halage.base.clock import SystemClock
from halage.compute.drivers.memory import Script
from halage.environment.model import DeploymentState
from halage.pipeline.model import RunState
from tests.controlplane import JOB_SUCCEEDS, PROD, SHOP, Ground, control_plane, eventually, site_of
from tests.postgresql import PostgreSQL

FILES = {
    "halage.toml": """\
kind = "node"
[test]
commands = ["./test"]
[run]
start = "node server.js"
release = "migrate"
persistent = ["uploads"]
[flow]
main = ["test", "dev", "approval", "prod"]
[environments.prod]
instances = 3
""",
    "server.js": "serve()",
}


@pytest.fixture
def ground(postgresql: PostgreSQL, data_directory: Path) -> Iterator[Ground]:
    ground = Ground(data_directory, SystemClock(), url=postgresql.new_database(), is_quick=False)
    ground.compute.script_for = lambda spec: (
        JOB_SUCCEEDS if spec.id.startswith("j-") else Script(exit_code=0 if spec.id[0] == "r" else None)
    )
    yield ground
    ground.close()
    assert ground.notes.illegal == []


async def test_a_run_goes_the_whole_way_and_is_rolled_back_by_a_person(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.environments.create(SHOP, [])
        for number in (1, 2):
            run_id = await plane.push({**FILES, "page": str(number)})
            run = await plane.run_until(run_id, RunState.WAITING, RunState.FAILED)
            assert run.state is RunState.WAITING, run.reason
            await plane.pipeline.approve(run_id, comment="go", actor="bob")
            run = await plane.run_until(run_id)
            assert run.state is RunState.SUCCEEDED, run.reason
            await plane.is_serving([str(number)] * 3)
        await plane.environments.set_variable(*PROD, "KEY", "sesame", is_secret=True, actor="ada")
        deployment = await plane.environments.rollback(*PROD, actor="ada")
        assert (await plane.deployed(deployment.id)).state is DeploymentState.SUCCEEDED
        await plane.is_serving(["1"] * 3)
        assert await plane.environments.secret_values(SHOP) == ["sesame"]
        environment = await plane.environments.show(*PROD)
        assert environment.release is not None and environment.release.number == 1
        job = await plane.builds.job(1)
        assert [line.text for line in await plane.builds.console(job.id)] == ["$ ./test", "all good"]
    release = ground.directory / "sites" / "shop" / "prod" / "releases" / "1"
    assert (release / "server.js").read_text() == "serve()"
    assert (release / "uploads").is_symlink()
    async with control_plane(ground) as plane:  # a restart finds everything as it was
        await plane.is_serving(["1"] * 3)
        await plane.environments.delete(SHOP)
        await plane.pipeline.forget_project(SHOP)
        await plane.builds.forget_project(SHOP)
    assert ground.compute.running() == []


async def test_a_failed_release_whose_output_is_no_text_is_rolled_back(ground: Ground) -> None:
    broken = Script(output=b"core\0dump \xff\n", exit_code=3)
    async with control_plane(ground) as plane:
        run_id = await plane.push(FILES)
        await plane.run_until(run_id, RunState.WAITING)
        await plane.pipeline.reject(run_id, actor="bob")
        ground.compute.script_for = lambda spec: broken
        bundle = (await plane.builds.job(1)).bundle_digest
        assert bundle is not None
        deployment = await plane.deployed(await plane.deploy(bundle=bundle, run_id=9))
        assert deployment.state is DeploymentState.FAILED
        assert deployment.log_tail == "core\ufffddump \ufffd"


async def test_many_deployments_at_once_are_each_recorded_once(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        run_id = await plane.push(FILES)
        await plane.run_until(run_id, RunState.WAITING)
        bundle = (await plane.builds.job(1)).bundle_digest
        assert bundle is not None
        site = site_of(instances=1)
        ids = await asyncio.gather(
            *(plane.deploy(site, run_id=run, bundle=bundle) for run in (10, 11, 12, 12, 13) for _ in range(2))
        )
        assert len(set(ids)) == 4, "the same token is the same deployment"
        releases = await plane.environments.releases(*PROD)
        assert sorted(release.number for release in releases) == [1, 2, 3, 4]

        async def look() -> bool:
            deployments = await plane.environments.deployments(*PROD)
            return all(each.state.is_final for each in deployments)

        await eventually(look, "all deployments")
        environment = await plane.environments.show(*PROD)
        assert environment.release is not None and environment.release.commit == f"{13:040x}"


async def test_people_and_what_they_prove_themselves_with(ground: Ground, data_directory: Path) -> None:
    access = Access(ground.database, ground.clock, data_directory / "key")
    token_file = data_directory / "admin-token"
    first = await access.first_start(token_file)
    assert first is not None
    assert await access.first_start(token_file) is None
    principal = await access.authenticate_token(token_file.read_text().strip())
    assert principal.is_admin
    session, secret = await access.redeem_login_link(first.login_link_secret)
    assert session.user == "admin"
    assert (await access.authenticate_session(secret))[0].name == "admin"
    with pytest.raises(BadCredential):
        await access.redeem_login_link(first.login_link_secret)
    await access.create_user("ada", password="correct horse battery", actor="admin")
    await access.set_member(SHOP, "ada", Role.DEVELOPER, "admin")
    ada = await access.authenticate_password("ada", "correct horse battery", "127.0.0.1")
    assert ada.roles == {SHOP: Role.DEVELOPER}
    with pytest.raises(BadCredential):
        await access.authenticate_password("ada", "wrong horse", "127.0.0.1")
    token, plain = await access.create_token("ada", "laptop", kind="git", actor="ada")
    assert (await access.authenticate_git("ada", plain)).name == "ada"
    await access.revoke_token(token.id, ada)
    with pytest.raises(BadCredential):
        await access.authenticate_git("ada", plain)
    await access.end_user("ada", actor="admin")
    assert [user.name for user in await access.list_users()] == ["ada", "admin"]
