"""The balancer and network settings of a release, as the drivers get them."""

import ipaddress

from halage.balancer.model import Https, Timeouts
from halage.environment.model import DeploymentState
from halage.site.model import EnvironmentPlan
from halage.site.settings import (
    Algorithm,
    AllUnhealthy,
    BalancerPlan,
    NetworkPlan,
)
from halage.site.settings import Https as PlannedHttps
from tests.controlplane import PROD, Ground, control_plane, eventually, site_of

ALL = EnvironmentPlan(
    "prod",
    instances=2,
    balancer=BalancerPlan(
        algorithm=Algorithm.SOURCE,
        https=PlannedHttps.REDIRECT,
        stickiness=True,
        connect_timeout_s=1,
        request_timeout_s=2,
        idle_timeout_s=3,
        slow_start_s=4,
        queue_timeout_s=5,
        most_connections=6,
        all_unhealthy=AllUnhealthy.FAIL_OPEN,
    ),
    network=NetworkPlan(allowed=("192.0.2.0/24",), private_range="127.99.7.0/24"),
)


async def test_settings_of_a_release_are_those_of_its_route_until_the_next_one(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(plan=ALL))
        route = ground.balancer.routes["shop.prod"]
        assert (route.algorithm, route.timeouts) == ("source", Timeouts(1, 2, 3, 5))
        assert (route.is_sticky, route.slow_start_s, route.most_connections) == (True, 4, 6)
        assert (route.fails_open, route.allowed, route.https) == (True, ("192.0.2.0/24",), Https.REDIRECT)
        assert route.certificate is not None
        assert route.certificate.names == route.hosts
        shown = await plane.environments.show(*PROD)
        assert shown.urls == tuple(f"https://{host}:8443/" for host in route.hosts)
        network = ipaddress.ip_network("127.99.7.0/24")
        for target in ground.balancer.serving("shop.prod"):
            assert ipaddress.ip_address(target.address) in network
    async with control_plane(ground) as plane:  # a restart of the control plane changes nothing
        assert ground.balancer.routes["shop.prod"] == route
        await plane.deploy_whole(site_of(plan=EnvironmentPlan("prod")), run_id=2)
        plain = ground.balancer.routes["shop.prod"]
        assert (plain.https, plain.allowed, plain.is_sticky) == (Https.OFF, (), False)
        await plane.environments.rollback(*PROD, actor="ada")

        async def back() -> bool:
            return ground.balancer.routes["shop.prod"] == route

        await eventually(back, "the settings of the release before")


async def test_public_instance_listens_everywhere_and_others_on_their_own_address(ground: Ground) -> None:
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of(instances=1))
        (target,) = ground.balancer.serving("shop.prod")
        assert ground.spec_of("i-").environment["HOST"] == target.address
        public = EnvironmentPlan("prod", network=NetworkPlan(public_instances=True))
        deployment = await plane.deploy_whole(site_of(plan=public), run_id=2)
        assert deployment.state is DeploymentState.SUCCEEDED, deployment.reason
        (target,) = ground.balancer.serving("shop.prod")
        assert ground.spec_of("i-").environment["HOST"] == "0.0.0.0"
        assert ipaddress.ip_address(target.address) in ipaddress.ip_network("127.64.0.0/10")


async def test_settings_that_the_balancer_refuses_fail_the_deployment_with_the_reason(ground: Ground) -> None:
    bad = EnvironmentPlan("prod", network=NetworkPlan(allowed=("192.0.2.1/24",)))
    async with control_plane(ground) as plane:
        await plane.deploy_whole(site_of())
        before = ground.balancer.routes["shop.prod"]
        deployment = await plane.deploy_whole(site_of(plan=bad), run_id=2)
        assert deployment.state is DeploymentState.ROLLED_BACK
        assert "has host bits set" in deployment.reason
        assert ground.balancer.routes["shop.prod"] == before
