"""The control plane is stopped at any moment of a deployment: it lets go at once, and the sites go on."""

import asyncio

from halage.compute.drivers.memory import Script
from halage.environment.model import DeploymentState
from halage.site.model import RunPlan
from tests.controlplane import PROD, Ground, control_plane, site_of

SITE = site_of(run=RunPlan(start="serve", release_command="migrate"))


async def test_stopped_at_any_moment_it_lets_go_at_once_and_takes_no_further_step(ground: Ground) -> None:
    ground.compute.script_for = lambda spec: Script(exit_code=0) if spec.id.startswith("r-") else Script()
    async with control_plane(ground) as plane:
        await plane.deploy_whole(SITE, run_id=1)
    for turns in range(1, 60, 7):
        async with control_plane(ground) as plane:
            deployment_id = await plane.deploy(SITE, run_id=turns + 1)
            for _ in range(turns):
                await asyncio.sleep(0)
            told = len(ground.notes.told)
            stopped_at = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - stopped_at < 1.0
        assert len(ground.notes.told) - told <= 1, ground.notes.told[told:]
        async with control_plane(ground) as plane:
            assert (await plane.deployed(deployment_id)).state is DeploymentState.SUCCEEDED
            number = (await plane.environments.releases(*PROD))[0].number
            await plane.is_serving([str(number)] * 2)
