"""The nine groups of settings in halage.toml: what is taken, what is refused, what does not go together."""

import json
from dataclasses import replace

import pytest

from halage.site.document import site_from_document, site_to_document
from halage.site.environment_tables import EnvironmentTable
from halage.site.errors import SiteInvalid
from halage.site.model import EnvironmentPlan
from halage.site.plans import flat, nested, plan_of, settings_of
from halage.site.read import read_site
from halage.site.settings import (
    Algorithm,
    AllUnhealthy,
    Batch,
    Https,
    Notification,
    Policy,
    ProcessKind,
    ScheduledSize,
    Trigger,
    TriggerKind,
    Window,
)
from tests.rules.site.trees import TYPES, MemoryTree, site_of

ALL = """
[environments.prod]
instances = 3
[environments.prod.scaling]
minimum = 2
maximum = 8
cool_down_in = "10m"
suspended = ["in"]
triggers = [{ name = "load", kind = "step", expression = "avg(cpu)", upper = 80, lower = 20, add = 2 }]
[[environments.prod.scaling.sizes]]
name = "day"
cron = "0 8  * * MON-FRI"
timezone = "Europe/Paris"
minimum = 4
[environments.prod.processes.worker]
instances = 2
type = "nano"
scaling.maximum = 4
scaling.triggers = [{ name = "q", kind = "queue", url = "http://x/q", target = 9 }]
[environments.prod.deployments]
policy = "canary"
batch = "25%"
pause = "10s"
healthy_percent = "90%"
canary = { percent = 5, duration = "10m" }
[environments.prod.balancer]
algorithm = "round_robin"
https = "redirect"
slow_start = "30s"
all_unhealthy = "fail_open"
[environments.prod.network]
allowed = "10.1.2.3/8"
[environments.prod.health]
path = "/up"
warn_p95_ms = 300
replace_after = "2m"
[[environments.prod.notifications]]
to = "$CHAT"
[[environments.prod.notifications]]
to = ["mailto://a@example.org", "$CHAT"]
on = ["started"]
[environments.prod.schedule]
frozen = true
windows = [{ cron = "0 9 * * 1-5", duration = "8h", allows = false }]
"""
PROCFILE = "web: serve\nrelease: migrate\nworker: work --hard\n"


def _prod(toml: str, **files: str) -> EnvironmentPlan:
    return site_of(f"kind = 'python'\n{toml}", Procfile=PROCFILE, **files).environments["prod"]


def _problems(toml: str) -> list[str]:
    with pytest.raises(SiteInvalid) as caught:
        site_of(toml)
    return [str(problem) for problem in caught.value.problems]


def test_all_groups_are_taken() -> None:
    prod = _prod(ALL)
    assert (prod.scaling.minimum, prod.scaling.maximum, prod.scaling.cool_down_in_s) == (2, 8, 600.0)
    assert prod.scaling.suspended == ("in",)
    assert prod.scaling.triggers == (
        Trigger("load", TriggerKind.STEP, "avg(cpu)", upper=80.0, lower=20.0, add=2),
    )
    assert prod.scaling.sizes == (ScheduledSize("day", "0 8 * * MON-FRI", "Europe/Paris", minimum=4),)
    (worker,) = prod.processes
    assert worker == replace(ProcessKind("worker", "work --hard", 2, "nano"), scaling=worker.scaling)
    assert worker.scaling is not None and worker.scaling.triggers[0].url == "http://x/q"
    assert (prod.deployments.policy, prod.deployments.batch) == (Policy.CANARY, Batch(percent=25.0))
    assert (prod.deployments.pause_s, prod.deployments.healthy_percent) == (10.0, 90.0)
    assert (prod.deployments.canary.percent, prod.deployments.canary.duration_s) == (5.0, 600.0)
    assert (prod.balancer.algorithm, prod.balancer.https) == (Algorithm.ROUND_ROBIN, Https.REDIRECT)
    assert (prod.balancer.slow_start_s, prod.balancer.all_unhealthy) == (30.0, AllUnhealthy.FAIL_OPEN)
    assert prod.network.allowed == ("10.0.0.0/8",)
    assert (prod.health.path, prod.health_rules.warn_p95_ms, prod.health_rules.replace_after_s) == (
        "/up",
        300.0,
        120.0,
    )
    assert prod.notifications == (
        Notification(("$CHAT",)),
        Notification(("mailto://a@example.org", "$CHAT"), ("started",)),
    )
    assert prod.schedule.frozen
    assert prod.schedule.windows == (Window("0 9 * * 1-5", 28800.0, allows=False),)
    assert "deployments.canary.percent" in prod.said and "balancer.stickiness" not in prod.said


def test_a_document_makes_the_same_site_with_all_groups() -> None:
    site = site_of(f"kind = 'python'\n{ALL}", Procfile=PROCFILE)
    assert site_from_document(json.loads(json.dumps(site_to_document(site)))) == site


def test_the_defaults_of_the_file_are_those_of_the_plans() -> None:
    assert plan_of("dev", EnvironmentTable(), (), {}, TYPES) == EnvironmentPlan("dev", variables={})


def test_a_plan_is_written_as_it_was_read() -> None:
    prod = _prod(ALL)
    written = nested({path: value for path, value in settings_of(prod).items() if value is not None})
    table = EnvironmentTable.model_validate(written, context={"types": TYPES})
    again = plan_of("prod", table, prod.said, {}, TYPES)
    assert again == prod
    assert settings_of(prod)["deployments.batch"] == "25%"
    assert settings_of(prod)["scaling.cool_down_in"] == "10m"
    assert settings_of(prod)["scaling.triggers"][0]["name"] == "load"


def test_paths_and_tables_are_the_same_thing() -> None:
    raw = {"scaling": {"minimum": 1}, "processes": {"worker": {"instances": 2}}, "type": "nano"}
    assert flat(raw) == {"scaling.minimum": 1, "processes.worker.instances": 2, "type": "nano"}
    assert nested(flat(raw)) == raw
    for clash in ({"a": 1, "a.b": 2}, {"a.b": 2, "a": 1}):
        with pytest.raises(ValueError, match="a"):
            nested(clash)


def test_the_number_of_instances_by_default_is_within_the_limits() -> None:
    assert site_of("[environments.dev.scaling]\nminimum = 3").environments["dev"].instances == 3
    assert site_of("[environments.prod.scaling]\nmaximum = 1").environments["prod"].instances == 1
    assert site_of("[environments.prod.scaling]\nminimum = 0").environments["prod"].instances == 2


def test_what_the_procfile_names_and_nothing_runs_is_warned_of() -> None:
    (warning,) = site_of("kind = 'python'", Procfile=PROCFILE).warnings
    assert warning == "Nothing runs worker of the Procfile: add [environments.NAME.processes.worker]."
    assert site_of("kind = 'python'\n[environments.dev.processes.worker]", Procfile=PROCFILE).warnings == ()


def test_a_password_in_an_address_is_warned_of() -> None:
    toml = "[[environments.prod.notifications]]\nto = 'mailto://{}@example.org'"
    assert "A notification of prod holds a password" in site_of(toml.format("ada:secret")).warnings[0]
    assert site_of(toml.format("ada")).warnings == ()


def test_an_expression_is_read_by_who_knows_the_language() -> None:
    trigger = "{name='a', kind='target', target=1, expression='('}"
    toml = f"[environments.dev.scaling]\nmaximum = 2\ntriggers = [{trigger}]"
    tree = MemoryTree({"halage.toml": toml, "index.html": ""})
    assert read_site(tree, types=TYPES).environments["dev"].scaling.triggers
    with pytest.raises(SiteInvalid, match=r"an expression over metrics \(it ends too early\)"):
        read_site(tree, types=TYPES, read_expression=lambda text: "it ends too early")


_DEV = "[environments.dev."
_TRIGGER = "[[environments.dev.scaling.triggers]]\n"
_SIZE = "[[environments.dev.scaling.sizes]]\n"
_FOUR = "[environments.dev]\ninstances = 4\n[environments.dev.deployments]\n"
_TOLD = "[[environments.dev.notifications]]\n"


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (
            _DEV + "scaling]\nminimum = 4\nmaximum = 2",
            "line 2: [environments.dev.scaling] minimum: found 4, over the maximum of 2. Allowed: at most 2.",
        ),
        (
            "[environments.dev]\ninstances = 5\nscaling.maximum = 2",
            "line 2: [environments.dev] instances: found 5. Allowed: from 1 to 2, as scaling says.",
        ),
        (_DEV + "scaling]\nmaximum = 101", "found 101. Allowed: from 1 to 100."),
        (_DEV + "scaling]\nminimun = 1", "Did you mean `minimum`?"),
        (_DEV + "scaling]\nsuspended = ['everything']", "Allowed: out, in, schedule, replace."),
        (
            _DEV + "scaling]\ntriggers = [{name='a', kind='step', expression='x', upper=1}]",
            "maximum: found nothing, beside triggers",
        ),
        (
            _TRIGGER + "name='a'\nkind='step'\nexpression='x'\nupper=1\nlower=2",
            "line 6: [[environments.dev.scaling.triggers]] lower: found 2, not under upper (1).",
        ),
        (_TRIGGER + "name='a'\nkind='step'\nexpression='x'", "upper: found nothing, and no `lower`"),
        (
            _TRIGGER + "name='a'\nkind='target'\nexpression='x'\nupper=1\ntarget=1",
            "upper: found it in a target trigger. Allowed: there only expression, target.",
        ),
        (_TRIGGER + "name='a'\nkind='target'", "expression: found nothing"),
        (_TRIGGER + "name='a'\nkind='queue'\ntarget=1", "command: found neither it nor a URL"),
        (_TRIGGER + "name='a'\nkind='queue'\ntarget=1\nurl='ftp://x'", "a URL such as"),
        (_TRIGGER + "name='a'\nkind='q'", "Allowed: 'step', 'target' or 'queue'."),
        (
            _TRIGGER + "kind='step'\n" + _TRIGGER + "name='a'\nkind='step'\nupper='x'",
            'line 6: [[environments.dev.scaling.triggers]] upper: found "x"',
        ),
        (_SIZE + "name='a'\ncron='0 8 * *'\nminimum=1", "(five fields)"),
        (_SIZE + "name='a'\ncron='0 25 * * *'\nminimum=1", "(bad hour)"),
        (_SIZE + "name='a'\ncron='0 0 31 2,4 *'\nminimum=1", "(bad day-of-month)"),
        (
            _SIZE + "name='a'\ncron='0 8 * * *'\ntimezone='Mars/X'\nminimum=1",
            'line 4: [[environments.dev.scaling.sizes]] timezone: found "Mars/X". Allowed: a time zone such',
        ),
        (_SIZE + "name='a'\ncron='0 8 * * *'", "one at least of `minimum`"),
        (
            _SIZE + "name='a'\ncron='0 8 * * *'\nminimum=3\nmaximum=2",
            "minimum: found 3, over the maximum of 2",
        ),
        (
            _SIZE + "name='a'\ncron='0 8 * * *'\nminimum=3\ninstances=2",
            "instances: found 2. Allowed: from 3 to any number, as this size says",
        ),
        (
            _DEV
            + "scaling]\nsizes=[{name='a',cron='0 8 * * *',minimum=1},{name='a',cron='0 9 * * *',minimum=2}]",
            'name: found "a" again. Allowed: each name once.',
        ),
        (_DEV + "processes.web]\ncommand = 'x'", 'kinds other than "web"'),
        (_DEV + "processes.Work]\ncommand = 'x'", "a name of lower-case letters"),
        (
            _DEV + "processes.worker]\ninstances = 2",
            "command: found nothing. Allowed: a line of shell, or a line `worker:` in the Procfile.",
        ),
        (
            _DEV + "processes.worker]\ncommand='x'\nscaling={minimum=3,maximum=2}",
            "[environments.dev.processes.worker.scaling] minimum: found 3",
        ),
        (
            _DEV + "deployments]\nbatch = 0",
            'a number of instances from 1 to 100, or a share of them over "0%"',
        ),
        (_DEV + "deployments]\nbatch = '0%'", "Allowed: a number of instances from 1 to 100"),
        (_DEV + "deployments]\nbatch = '101%'", 'up to "100%"'),
        (_DEV + "deployments]\nbatch = true", "found true. Allowed: a number of instances"),
        (_DEV + "deployments]\npolicy = 'canery'", "'canary' or 'blue_green'"),
        (
            _DEV + "deployments]\npolicy = 'rolling'",
            '"rolling" with 1 instance, which nothing would stand in for',
        ),
        (
            _FOUR + "policy = 'rolling'\nbatch = '100%'",
            'batch: found "100%", which is all of 4 instances: with rolling none would serve.',
        ),
        (
            _DEV + "deployments]\npolicy = 'canary'\ndeadline = '1m'",
            "300 s, as long as the deadline (60 s) or longer",
        ),
        (
            _FOUR + "pause = '1m'\ndeadline = '2m'",
            "pause: found 60 s 3 times, over the deadline of 120 s. Allowed: less than 40 s.",
        ),
        (_DEV + "deployments]\nhealthy_percent = '120%'", 'a share from "0%" to "100%"'),
        (_DEV + "balancer]\nhttps = true", "Allowed: 'off', 'on' or 'redirect'"),
        (_DEV + "balancer]\nrequest_timeout = 0", "Allowed: from 0.1 to 3600."),
        (_DEV + "network]\nallowed = ['10.0.0.0/33']", "an address or a range such as"),
        (_DEV + "network]\nprivate_range = '10.0.0.0/8'", "within 127.0.0.0/8"),
        (_DEV + "network]\nprivate_range = '127.0.0.0/24'", "past 127.0.0.0/16"),
        (_DEV + "health]\nwarn_errors_percent = 20", "found 20, over degrade_errors_percent (10)"),
        (_TOLD + "to = 'ada'", 'an address such as "mailto://team@example.org"'),
        (_TOLD + "to = []", "[[environments.dev.notifications]] to: found []"),
        (_TOLD + "on = ['failed']", "to: found"),
        (_TOLD + "to = '$A'\non = ['died']", "Allowed: started, succeeded, failed"),
        (
            _DEV + "schedule]\nwindows = [{cron = '* * * * *', duration = '1s'}]",
            "found 1.0. Allowed: from 60 to",
        ),
        (_DEV + "schedule]\nwindow = []", "Did you mean `windows`?"),
        ("[environments.dev]\nupper = nan", "found"),
        (_TRIGGER + "name='a'\nkind='step'\nexpression='x'\nupper=nan", "upper: found"),
    ],
)
def test_what_is_refused_is_named_with_its_place_and_what_is_allowed(toml: str, words: str) -> None:
    problems = _problems(toml)
    assert any(words in problem for problem in problems), problems
