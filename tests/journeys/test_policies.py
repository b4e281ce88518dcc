"""Each policy with a real HAProxy under load: nothing lost, back within a second, a worse canary left."""

import hashlib
import time
from collections.abc import Iterator

import pytest

from halage.cli.prober import Prober
from tests.product import Product, WorkingCopy, eventually
from tests.sites import site, toml_of

RATE = 200
POLICIES = ("all_at_once", "rolling", "rolling_additional", "immutable", "canary", "blue_green")


@pytest.fixture
def shop(server: Product, request: pytest.FixtureRequest) -> Iterator[WorkingCopy]:
    name = "shop-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:6]
    yield WorkingCopy(server, name)
    server.client.delete_project(name)


def by(policy: str, *, instances: int = 4, canary_s: int = 2, more: str = "") -> str:
    return (
        toml_of(instances=instances)
        + f"""\
detailed_monitoring = true
[environments.prod.deployments]
policy = "{policy}"
batch = 2
{more}
[environments.prod.deployments.canary]
percent = 25
duration = {canary_s}
most_errors_percent = 5
least_requests = 20
# How fast it answers is a matter of what else the machine does.
slowest_ratio = 20
"""
    )


def prod(shop: WorkingCopy) -> str:
    return shop.server.visit(f"{shop.project}.localhost").body


def begin_load(shop: WorkingCopy) -> Prober:
    prober = Prober("127.0.0.1", shop.server.visitors_port, site=f"{shop.project}.localhost", rate=RATE)
    prober.start()
    return prober


@pytest.mark.timeout(200)
@pytest.mark.parametrize("policy", POLICIES)
def test_no_policy_costs_a_request(server: Product, shop: WorkingCopy, policy: str) -> None:
    shop.deploy(site("old", toml=by(policy)))
    prober = begin_load(shop)
    try:
        shop.deploy(site("new", toml=by(policy)))
        time.sleep(0.5)  # what is sent after the end is answered too
    finally:
        report = prober.stop()
    assert prod(shop) == "new"
    assert report.sent > RATE
    assert report.failed == 0, report.causes
    (deployment, _) = server.client.list_deployments(shop.project, "prod")
    found = server.client.report_deployment(deployment["id"])
    assert found["policy"] == policy
    assert {"start", "prove"} & {phase["phase"] for phase in found["phases"]}


@pytest.mark.timeout(200)
def test_a_rollback_to_what_is_kept_answers_within_a_second(server: Product, shop: WorkingCopy) -> None:
    shop.deploy(site("old", toml=by("blue_green")))
    shop.deploy(site("new", toml=by("blue_green")))
    prober = begin_load(shop)
    prober.await_text("old")
    try:
        begun = time.monotonic()
        back = server.client.roll_back_environment(shop.project, "prod")
        assert server.until_deployment(back["id"])["state"] == "succeeded"
        assert prod(shop) == "old"
        # And there again, as often as one likes.
        swap = server.client.swap_environment(shop.project, "prod")
        assert server.until_deployment(swap["id"])["state"] == "succeeded"
        assert prod(shop) == "new"
    finally:
        report = prober.stop()
    assert report.failed == 0, report.causes
    assert report.first_new_at is not None
    print(f"first answer of the old version after {1000 * (report.first_new_at - begun):.0f} ms")
    boots = [
        phase for phase in server.client.show_deployment(back["id"])["phases"] if phase["name"] == "boot"
    ]
    assert boots == [], "nothing was started"


@pytest.mark.timeout(200)
def test_a_canary_that_fails_for_visitors_goes_back_and_says_how_often(
    server: Product, shop: WorkingCopy
) -> None:
    toml = by("canary", canary_s=60)
    shop.deploy(site("old", toml=toml))
    # It is well where it is checked, and fails in every second request of visitors.
    half = "(200, b'ok') if path != '/shop' or int(time.time() * 1000) % 2 else (500, b'oops')"
    prober = Prober(
        "127.0.0.1", server.visitors_port, site=f"{shop.project}.localhost", rate=RATE, path="/shop"
    )
    prober.start()
    try:
        shop.commit(site("", toml=toml, answer=half), "A bad change")
        run = server.until_run(shop.push()["id"])
    finally:
        prober.stop()
    assert run["state"] == "failed"
    deployment = server.client.list_deployments(shop.project, "prod")[0]
    assert deployment["state"] == "rolled_back", deployment
    assert deployment["reason"].startswith("the canary is worse: "), deployment["reason"]
    assert prod(shop) == "old"
    found = server.client.report_deployment(deployment["id"])
    during = eventually(
        lambda: server.client.report_deployment(deployment["id"])["during"], "requests of the deployment"
    )
    assert during["requests"] > 0, found


@pytest.mark.timeout(200)
def test_what_cannot_be_kept_is_refused_with_its_numbers(server: Product, shop: WorkingCopy) -> None:
    tight = by("blue_green", more="maximum = 7")
    shop.deploy(site("old", toml=tight))
    shop.commit(site("new", toml=tight), "A change")
    assert server.until_run(shop.push()["id"])["state"] == "failed"
    deployment = server.client.list_deployments(shop.project, "prod")[0]
    assert deployment["state"] == "failed"
    assert "blue_green has 8 instances at once (4 and 4 beside them), and at most 7" in deployment["reason"]
    assert prod(shop) == "old"
    refused = shop.server.halage("env", "deploy", shop.project, "prod", "--plan")
    assert refused.code == 1
    assert "at most 7 may run" in " ".join(refused.text.split())
    plan = shop.server.halage("env", "deploy", shop.project, "prod", "--policy", "rolling")
    assert plan.code == 0, plan.text
    assert "2 of 4 at the least" in plan.text
