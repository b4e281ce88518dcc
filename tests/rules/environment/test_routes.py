"""From an environment's settings to its route."""

from halage.balancer.drivers.haproxy.layout import arrange, first_layout
from halage.environment.routing import route_of
from halage.site.model import EnvironmentPlan
from tests.rules.site.trees import site_of

PROD = ("shop", "prod")


def test_an_environment_that_says_nothing_of_its_balancer_needs_no_reload() -> None:
    said = site_of("[environments.prod]\ninstances = 2").environments["prod"]
    for plan in (said, EnvironmentPlan("prod")):
        assert not arrange(first_layout(), [route_of(PROD, plan, "localhost", None)]).needs_reload
