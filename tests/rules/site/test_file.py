"""halage.toml: what is taken, what is refused, and with which words."""

import pytest

from halage.site.errors import SiteInvalid
from halage.site.read import read_site
from tests.rules.site.trees import TYPES, MemoryTree, site_of


def _problems(toml: str, **files: str) -> list[str]:
    with pytest.raises(SiteInvalid) as caught:
        site_of(toml, **files)
    return [str(problem) for problem in caught.value.problems]


def test_all_of_it_is_taken() -> None:
    site = site_of(
        """
        kind = "static"
        [build]
        commands = "make"
        network = false
        timeout = "10m"
        [test]
        commands = ["make test", "make lint"]
        reports = "out/*.xml"
        timeout = 90
        required = true
        [run]
        start = "busybox httpd -f"
        release = "make migrate"
        persistent = ["storage/app/", "./uploads"]
        boot_timeout = "2m"
        drain_timeout = "500ms"
        stop_timeout = 0
        metrics = "/internal/metrics?all=1"
        [env]
        APP_NAME = "Boutique"
        LIMIT = 3
        DEBUG = false
        [environments.prod]
        instances = 4
        type = "small"
        health = { path = "/up?full=1", interval = "1s", timeout = 2, rise = 1, fall = 5 }
        domains = ["WWW.Example.ORG.", "été.example.org"]
        env = { APP_NAME = "Shop" }
        detailed_monitoring = true
        """
    )
    assert site.build.commands == ("make",)
    assert (site.build.network, site.build.timeout_s) == (False, 600.0)
    assert site.test.commands == ("make test", "make lint")
    assert (site.test.reports, site.test.timeout_s, site.test.required) == (("out/*.xml",), 90.0, True)
    assert site.run.start == "busybox httpd -f"
    assert site.run.release_command == "make migrate"
    assert site.run.persistent == ("storage/app", "uploads")
    assert (site.run.boot_timeout_s, site.run.drain_timeout_s, site.run.stop_timeout_s) == (120.0, 0.5, 0.0)
    assert site.variables == {"APP_NAME": "Boutique", "LIMIT": "3", "DEBUG": "false"}
    prod = site.environments["prod"]
    assert (prod.instances, prod.type) == (4, "small")
    assert (prod.health.path, prod.health.interval_s, prod.health.fall) == ("/up?full=1", 1.0, 5)
    assert prod.domains == ("www.example.org", "xn--t-9fab.example.org")
    assert prod.variables == {"APP_NAME": "Shop"}
    assert site.run.metrics == "/internal/metrics?all=1"
    assert [name for name, plan in site.environments.items() if plan.detailed_monitoring] == ["prod"]


def test_a_site_has_no_metrics_of_its_own_and_is_measured_every_ten_seconds_by_default() -> None:
    site = site_of()
    assert site.run.metrics is None
    assert not any(plan.detailed_monitoring for plan in site.environments.values())


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[build]\ncomands = []", "halage.toml, line 2: [build] comands: found a key that is not known. "
         "Did you mean `commands`? Allowed: commands, network, timeout."),
        ("[biuld]\n", "line 1: biuld: found a key that is not known. Did you mean `build`?"),
        ("[enviroments.prod]\n", "Did you mean `environments`?"),
        ("[environments.prod.health]\nurl = 1", "line 2: [environments.prod.health] url: found a key"),
        ("[build]\nstart = 'x'", "(start belongs in [run])"),
        ("[run]\nstart = 3", "line 2: [run] start: found 3. Allowed: text in quotes."),
        ("[run]\nstart = ' '", 'Allowed: a line of shell such as "composer install".'),
        ("[run]\nmetrics = 'metrics'", 'line 2: [run] metrics: found "metrics". Allowed: a path that starts'),
        ("[run]\nmetrics = true", "[run] metrics: found true. Allowed: text in quotes."),
        ("[run]\ndetailed_monitoring = true", "(detailed_monitoring belongs in [environments.NAME])"),
        ("[environments.prod]\ndetailed_monitoring = 1", "found 1. Allowed: true or false."),
        ("[build]\nnetwork = 'no'", 'found "no". Allowed: true or false.'),
        ("[build]\ntimeout = '5 minutes'", 'Allowed: a duration such as "90s", "5m", "1h", or a number'),
        ("[build]\ntimeout = true", "Allowed: a duration"),
        ("[build]\ntimeout = 0", "found 0.0. Allowed: from 1 to 86400."),
        ("[environments.prod]\n\ninstances = 51", "line 3: [environments.prod] instances: found 51. "
         "Allowed: from 1 to 50."),
        ("[environments.prod]\ninstances = 0", "Allowed: from 1 to 50."),
        ("[environments.prod]\ninstances = 1.5", "Allowed: from 1 to 50."),
        ("[environments.prod]\ntype = 'huge'", "one of the instance types nano, micro, small, medium"),
        ("[environments.Prod]\n", "lower-case letters, digits and hyphens"),
        ("[environments.approval]\n", "other than approval, build, source, test"),
        ("[environments.prod]\nhealth = { path = 'up' }", 'Allowed: a path that starts with "/"'),
        ("[environments.prod]\nhealth.fall = 'a'", "health] fall: found \"a\". Allowed: from 1"),
        ("[environments.prod]\ndomains = ['*.example.org']", "(no scheme, port, path or wildcard)"),
        ("[environments.prod]\ndomains = ['https://example.org']", "Allowed: a host name"),
        ("[environments.prod]\ndomains = ['127.0.0.1']", "Allowed: a host name"),
        ("[environments.dev]\ndomains = 'a.org'\n[environments.prod]\ndomains = 'A.org'",
         "line 4: [environments.prod] domains: found \"A.org\". "
         "Allowed: each domain once; [environments.dev]"),
        ("[run]\npersistent = ['/var']", 'relative, no "..", not the root'),
        ("[run]\npersistent = ['a/../b']", 'relative, no "..", not the root'),
        ("[run]\npersistent = ['.']", 'relative, no "..", not the root'),
        ("[run]\npersistent = ['a$b']", "a path within the site"),
        ("[run]\npersistent = ['.git/hooks']", "a path outside .git"),
        ("[run]\npersistent = ['a', 'a/b']", "paths apart from each other"),
        ("[run]\npersistent = ['public']\ndocument_root = 'public'", "which is the document root"),
        ("[run]\nphp_development_server = true", "it only for laravel and php sites"),
        ("[env]\nHOST = 'x'", "names other than HOST"),
        ("[env]\nHALAGE_X = 'x'", "names other than HALAGE_X"),
        ("[env]\n1A = 'x'", "not starting with a digit"),
        ("[env]\nA = ['x']", "text, a number, true or false as the value of A"),
        ("kind = 'ruby'",
         "line 1: kind: found \"ruby\". Allowed: 'laravel', 'php', 'python', 'node' or 'static'."),
        ("[build\n", "line 1: found a syntax error"),
        ("a = 1\na = 2", "line 2: found a syntax error"),
        ("x = '�'", "found bytes that are not UTF-8"),
        ("x = " + "[" * 5000, "found"),
    ],
)  # fmt: skip
def test_what_is_refused_is_named_with_its_place_and_what_is_allowed(toml: str, words: str) -> None:
    problems = _problems(toml)
    assert any(words in problem for problem in problems), problems


def test_all_problems_are_listed_at_once_in_the_order_of_the_file() -> None:
    problems = _problems(
        """
        [build]
        comands = []
        [run]
        persistent = ["/etc", "../x"]
        [environments.prod]
        instances = 0
        [flow]
        main = ["test", "prd"]
        """
    )
    assert len(problems) == 5
    assert [problem.split(":")[0] for problem in problems] == [
        f"halage.toml, line {line}" for line in (3, 5, 5, 7, 9)
    ]


def test_the_message_lists_them_for_people() -> None:
    with pytest.raises(SiteInvalid, match=r"has 2 problems:\n- halage.toml, line 1.*\n- halage.toml, line 2"):
        site_of("a = 1\nb = 2")


def test_a_site_that_says_nothing_has_the_defaults() -> None:
    site = read_site(MemoryTree({"index.html": ""}), types=TYPES)
    assert {name: plan.instances for name, plan in site.environments.items()} == {
        "dev": 1,
        "preprod": 1,
        "prod": 2,
    }
    assert [plan.approval for plan in site.environments.values()] == [False, False, True]
    assert {plan.health.path for plan in site.environments.values()} == {"/"}
    assert site.warnings == ()


def test_a_server_without_micro_gives_its_first_type() -> None:
    site = read_site(MemoryTree({"index.html": ""}), types=("large", "big"))
    assert site.environments["dev"].type == "big"


def test_what_looks_like_a_secret_is_warned_of() -> None:
    warnings = site_of("[env]\nDB_PASSWORD = 'x'\nSTRIPE_TOKEN = ''").warnings
    assert len(warnings) == 1
    assert warnings[0].startswith("DB_PASSWORD looks like a secret")


def test_an_environment_that_no_branch_reaches_is_warned_of() -> None:
    assert "Nothing is ever deployed to staging" in site_of("[environments.staging]").warnings[0]
    assert site_of("[environments.staging]\nbranch = 'staging'").warnings == ()


def test_a_commit_without_tests_is_refused_where_they_are_required() -> None:
    (problem,) = _problems("kind = 'static'\n[test]\nrequired = true", **{"index.html": ""})
    assert problem.startswith("halage.toml, line 3: [test] required: found true, and a commit without tests.")
    assert site_of("kind = 'static'\n[test]\nrequired = true\ncommands = 'make test'").test.required
