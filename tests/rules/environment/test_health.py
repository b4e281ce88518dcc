"""The health of an environment: its status, its colour, and who is to blame."""

from dataclasses import replace

import pytest

from halage.environment.health.rules import DeploymentSigns, InstanceSigns, Signs, derive
from halage.environment.model import Colour, DeploymentState, HealthStatus, InstanceState, TakenOut
from halage.monitor.collect.model import Requests
from halage.site.settings import HealthRules

UP = InstanceSigns("i-1", InstanceState.SERVING, 1, is_up=True, check="L7OK/200")
UP2 = replace(UP, id="i-4")
DOWN = replace(UP, id="i-2", is_up=False, check="L7STS/500")
STARTING = InstanceSigns("i-3", InstanceState.STARTING, 1)
DIED = replace(STARTING, reason="exited with code 1")
OUT = replace(UP, id="i-5", state=InstanceState.TAKEN_OUT, is_up=False, taken_out=TakenOut("ada", 1.0, False))
BEGUN = DeploymentSigns(7, DeploymentState.RUNNING, 2)


@pytest.mark.parametrize(
    ("signs", "status", "summary"),
    [
        (Signs(0, None), "no_data", "nothing has been deployed here yet"),
        (Signs(2, None, [STARTING]), "no_data", "the first deployment is under way"),
        (Signs(2, 1, [UP, UP2]), "ok", "2 instances up"),
        (Signs(1, 1, [UP]), "ok", "1 instance up"),
        (Signs(2, 1, [UP, DOWN]), "warning", "1 of 2 instances up: i-2 fails its check (L7STS/500)"),
        (
            Signs(2, 1, [UP, replace(DOWN, failing_for_s=12.4)]),
            "warning",
            "1 of 2 instances up: i-2 fails its check for 12 s (L7STS/500)",
        ),
        (
            Signs(2, 1, [UP, DIED]),
            "warning",
            "1 of 2 instances up: i-3 is starting after it exited with code 1",
        ),
        (
            Signs(3, 1, [UP, DIED, DOWN]),
            "degraded",
            "1 of 3 instances up: i-2 fails its check (L7STS/500)",
        ),
        (Signs(1, 1, [DOWN]), "severe", "no instance is up: i-2 fails its check (L7STS/500)"),
        (Signs(1, 1, []), "severe", "no instance is up: 1 instance is missing"),
        (
            Signs(1, 1, [UP], balancer_answers=False),
            "severe",
            "the balancer does not answer; it is being started again",
        ),
        (Signs(2, 1, [UP, STARTING], deployment=BEGUN), "info", "1 of 2 instances up: i-3 is starting"),
        (Signs(2, 1, [UP, UP2], deployment=BEGUN), "info", "2 instances up; v2 is being deployed"),
        (
            Signs(2, 1, [UP, DIED], deployment=BEGUN),
            "warning",
            "1 of 2 instances up: i-3 is starting after it exited with code 1",
        ),
        (
            Signs(1, 1, [UP], deployment=DeploymentSigns(7, DeploymentState.ROLLED_BACK, 2, "it exited")),
            "info",
            "1 instance up; the last deployment (v2) was rolled back: it exited",
        ),
        (
            Signs(1, 1, [UP], deployment=DeploymentSigns(7, DeploymentState.FAILED, 2, "too late")),
            "warning",
            "the last deployment (v2) failed: too late",
        ),
        (Signs(2, 1, [UP, OUT]), "info", "1 instance up; i-5 was taken out by ada"),
        (Signs(1, 1, [OUT]), "suspended", "no instance shall serve: all were taken out"),
        (
            Signs(2, 2, [replace(UP, release=2), UP2]),
            "warning",
            "i-4 serves release v1, the environment is at v2",
        ),
        (
            Signs(1, 1, [replace(UP, is_flapping=True, falls=6)]),
            "warning",
            "i-1 began to fail its check 6 times within 10 minutes",
        ),
        (
            Signs(1, 1, [UP], [replace(DIED, id="w-1", attempt=4)]),
            "warning",
            "worker w-1 is starting after it exited with code 1, for the 4. time",
        ),
        (Signs(1, 1, [UP], [replace(STARTING, id="w-1")]), "ok", "1 instance up"),
        (
            Signs(1, 1, [UP], [replace(UP, id="w-1", is_up=False, cpu_percent=95.0)]),
            "warning",
            "w-1 uses 95% of the processor time of its type",
        ),
        (
            Signs(1, 1, [replace(UP, memory_percent=97.0)]),
            "warning",
            "i-1 uses 97% of the memory of its type",
        ),
    ],
)
def test_status_and_summary(signs: Signs, status: str, summary: str) -> None:
    health = derive(signs)
    assert (health.status, health.summary) == (HealthStatus(status), summary)


def test_every_status_has_a_colour() -> None:
    assert {status.colour for status in HealthStatus} == set(Colour)
    assert HealthStatus.SEVERE.colour is HealthStatus.DEGRADED.colour is Colour.RED


@pytest.mark.parametrize(
    ("fails_open", "words"),
    [(False, "visitors get the error page"), (True, "requests go to all of them all the same")],
)
def test_all_unhealthy_is_red_and_says_what_visitors_get(fails_open: bool, words: str) -> None:
    health = derive(Signs(1, 1, [DOWN], fails_open=fails_open))
    assert (health.status, health.colour) == (HealthStatus.SEVERE, Colour.RED)
    (cause,) = [cause for cause in health.causes if cause.kind == "none_up"]
    assert words in cause.text


def test_one_that_was_replaced_leaves_no_gap_and_one_that_was_not_does() -> None:
    replaced = replace(OUT, taken_out=TakenOut("ada", 1.0, True))
    assert derive(Signs(2, 1, [UP, replaced])).status is HealthStatus.WARNING
    assert derive(Signs(2, 1, [UP, UP2, replaced])).status is HealthStatus.INFO
    of_old = replace(OUT, release=7)
    assert derive(Signs(2, 1, [UP, of_old])).status is HealthStatus.WARNING, "it left no gap in this release"


@pytest.mark.parametrize(
    ("errors", "status"),
    [(0, "ok"), (1, "ok"), (2, "warning"), (19, "warning"), (20, "degraded"), (100, "severe")],
)
def test_a_share_of_failed_requests(errors: int, status: str) -> None:
    assert derive(Signs(1, 1, [UP], recent=Requests(200, errors))).status is HealthStatus(status)


def test_too_few_requests_say_nothing() -> None:
    assert derive(Signs(1, 1, [UP], recent=Requests(19, 19))).status is HealthStatus.OK
    assert derive(Signs(1, 1, [UP], recent=Requests(20, 20))).status is HealthStatus.SEVERE


def test_the_instance_that_made_most_errors_is_to_blame() -> None:
    bad = replace(UP2, recent=Requests(100, 30))
    health = derive(Signs(2, 1, [replace(UP, recent=Requests(100, 2)), bad], recent=Requests(200, 32)))
    assert health.summary == "16% of 200 requests in the last minute failed (5xx), 30 of 32 at i-4"
    (cause,) = health.causes
    assert (cause.instance, cause.figures["share_percent"]) == ("i-4", 16)
    nobody = derive(Signs(1, 1, [replace(UP, recent=Requests(100, 0))], recent=Requests(130, 30)))
    assert nobody.summary.endswith(", 30 of them reached no instance")
    assert nobody.causes[0].instance is None
    gone = derive(
        Signs(1, 1, [replace(UP, recent=Requests(100, 0))], recent=Requests(130, 30), gone_errors=20)
    )
    assert gone.summary.endswith(", 20 of them by instances that are gone")


def test_one_bad_instance_among_many_is_seen_though_the_whole_is_well() -> None:
    bad = replace(UP2, recent=Requests(20, 2))
    (cause,) = derive(Signs(2, 1, [UP, bad], recent=Requests(1000, 2))).causes
    assert (cause.status, cause.instance) == (HealthStatus.WARNING, "i-4")
    assert cause.text == "i-4 failed 10% of its 20 requests in the last minute"


def test_latency_and_client_errors_count_where_rules_say_so() -> None:
    recent = Requests(100, 0, 40, p95_ms=900.0)
    assert derive(Signs(1, 1, [UP], recent=recent)).status is HealthStatus.OK
    rules = HealthRules(warn_p95_ms=300, degrade_p95_ms=800, warn_client_errors_percent=30)
    slow = [replace(UP, recent=Requests(50, p95_ms=100)), replace(UP2, recent=Requests(50, p95_ms=950))]
    health = derive(Signs(2, 1, slow, recent=recent, rules=rules))
    assert health.status is HealthStatus.DEGRADED
    latency, refused = health.causes
    assert latency.text == "1 request in 20 took over 900 ms in the last minute (p95), slowest at i-4"
    assert (latency.instance, latency.figures["threshold"]) == ("i-4", 800)
    assert refused.text == "40% of 100 requests in the last minute were refused (4xx)"


def test_the_gravest_cause_comes_first_and_all_are_told() -> None:
    busy = replace(UP, cpu_percent=99.0)
    health = derive(Signs(2, 1, [busy, DOWN, OUT], recent=Requests(100, 60)))
    assert [cause.kind for cause in health.causes] == ["errors", "failing", "cpu", "taken_out"]
    assert health.status is HealthStatus.SEVERE
