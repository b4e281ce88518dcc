"""What `serving` says, before anything runs."""

from pathlib import Path

import pytest

from halage.base.errors import Invalid
from halage.site.phpfpm import children_for
from halage.site.serving import Place, job_environment, merged_variables, release_step, serving, start_line
from tests.rules.site.trees import site_of

PLACE = Place(
    Path("/r"),
    Path("/p"),
    "127.0.0.2",
    8000,
    project="boutique",
    environment="dev",
    release_number=3,
    commit="abc",
)


def test_halages_own_variables_win_and_those_of_people_win_over_the_kind() -> None:
    site = site_of(composer_json="{}", artisan="")
    place = Place(Path("/r"), Path("/p"), "127.0.0.2", 8000, variables={"APP_DEBUG": "true", "PORT": "1"})
    environment = serving(site, place).environment
    assert environment["APP_DEBUG"] == "true"
    assert environment["LOG_CHANNEL"] == "stderr"
    assert environment["PORT"] == "8000"


def test_variables_of_people_win_over_the_environments_and_those_over_the_sites() -> None:
    site = site_of("[env]\nA = 1\nB = 1\nC = 1\n[environments.dev.env]\nB = 2\nC = 2")
    assert merged_variables(site, "dev", {"C": "3"}) == {"A": "1", "B": "2", "C": "3"}
    assert merged_variables(site, "prod", {}) == {"A": "1", "B": "1", "C": "1"}


def test_python_finds_what_the_build_installed_wherever_the_release_is() -> None:
    site = site_of("[run]\nstart = 'gunicorn app'", requirements_txt="")
    plan = serving(site, PLACE)
    assert plan.command == ("sh", "-c", "exec gunicorn app")
    assert plan.environment["PYTHONPATH"] == "/r/.halage/python"
    assert plan.environment["PATH"].startswith("/r/.halage/python/bin:")
    assert ".halage/test" not in str(plan.environment)
    assert "/checkout/.halage/test" in job_environment(site, "/checkout")["PYTHONPATH"]


def test_the_release_step_has_the_directories_that_laravel_counts_on() -> None:
    site = site_of(composer_json="{}", artisan="")
    step = release_step(site, PLACE)
    assert step is not None
    assert step.command[:2] == ("sh", "-c")
    assert "storage/framework/views" in step.command[2]
    assert step.command[2].endswith("php artisan migrate --force")
    assert release_step(site_of(), PLACE) is None


def test_a_path_that_cannot_be_quoted_is_refused() -> None:
    with pytest.raises(Invalid, match="quote"):
        serving(site_of(), Place(Path('/a"b'), Path("/p"), "127.0.0.2", 8000))


@pytest.mark.parametrize(
    ("memory_mib", "children"), [(64, 2), (128, 2), (256, 5), (512, 11), (1024, 24), (9999, 32)]
)
def test_as_many_php_processes_as_the_type_holds(memory_mib: int, children: int) -> None:
    assert children_for(memory_mib) == children


@pytest.mark.parametrize(
    ("start", "line"),
    [
        ("node server.js", "exec node server.js"),
        ("gunicorn -b $HOST:$PORT --name 'a b' app", "exec gunicorn -b $HOST:$PORT --name 'a b' app"),
        ("A=1 B= ./serve", "A=1 B= exec ./serve"),
        ("$RUNNER --port $PORT", "exec $RUNNER --port $PORT"),
        ("serve > /dev/null", "exec serve > /dev/null"),
        ("cd app && serve", "trap : TERM\ncd app && serve"),
        ("cd app", "trap : TERM\ncd app"),
        ("exec serve", "trap : TERM\nexec serve"),
        ("A='x y' serve", "trap : TERM\nA='x y' serve"),
        ("migrate; serve", "trap : TERM\nmigrate; serve"),
        ("serve | tee log", "trap : TERM\nserve | tee log"),
        ('"$RUNNER" x', 'trap : TERM\n"$RUNNER" x'),
    ],
)
def test_a_simple_start_command_takes_the_place_of_its_shell(start: str, line: str) -> None:
    assert start_line(start) == line
