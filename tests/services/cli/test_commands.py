"""The command line against a server: what it prints, and how it ends."""

import csv
import json
import re
import subprocess
from pathlib import Path

import pytest

from halage.cli.events import change_of
from halage.pipeline.model import RunState
from tests.services.cli.conftest import Halage, Served
from tests.services.web.world import a_run


def test_projects_as_a_table_and_as_json(as_dev: Halage) -> None:
    table = as_dev("project", "list")
    assert table.code == 0
    assert re.search(r"^shop +php ", table.out, re.MULTILINE)
    for arguments in (("--output", "json", "project", "list"), ("project", "list", "-o", "json")):
        listed = as_dev(*arguments)
        assert [each["name"] for each in json.loads(listed.out)] == ["shop"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("project", "show", "shop"),
        ("project", "member", "list", "shop"),
        ("run", "list", "shop"),
        ("run", "show", "shop"),
        ("run", "show", "1"),
        ("run", "logs", "1"),
        ("run", "logs", "1", "-f"),
        ("run", "watch", "1"),
        ("run", "retry", "1", "--stage", "test"),
        ("env", "list", "shop"),
        ("env", "show", "shop", "prod"),
        ("env", "logs", "shop", "prod"),
        ("env", "releases", "shop", "prod"),
        ("env", "restart", "shop", "prod"),
        ("env", "rollback", "shop", "prod", "v1"),
        ("env", "set", "shop", "prod", "A=1", "B=x=y"),
        ("env", "unset", "shop", "prod", "A"),
        ("token", "create", "laptop", "--days", "3"),
        ("token", "list"),
        ("git-credential",),
        ("events",),
        ("env", "scale", "shop", "prod", "1"),
        ("env", "scale", "shop", "prod", "--reset", "--no-wait"),
        ("events", "-e", "prod", "--subject", "project/*", "--origin", "api", "--text", "x", "--after", "0"),
        ("events", "--project", "shop", "--actor", "dev", "--action", "*", "--since", "7d"),
    ],
)
def test_every_command_answers_in_both_forms(as_dev: Halage, arguments: tuple[str, ...]) -> None:
    table = as_dev(*arguments)
    assert table.code == 0, table.err
    answer = as_dev(*arguments, "--output", "json")
    assert answer.code == 0, answer.err
    documents = answer.out.split("\n") if "logs" in arguments else [answer.out]
    for document in documents:
        if document:
            json.loads(document)


def test_events_show_what_changed_and_from_where(as_admin: Halage) -> None:
    assert as_admin("project", "member", "set", "shop", "viewer", "developer").code == 0
    assert as_admin("project", "member", "set", "shop", "viewer", "viewer").code == 0
    shown = as_admin("events", "--action", "project:SetMember", "--limit", "2")
    assert "role viewer → developer" in shown.out and "role developer → viewer" in shown.out
    assert "api 127.0.0.1 token first start" in shown.out
    first, last = json.loads(as_admin("events", "--text", "developer", "--limit", "2", "-o", "json").out)
    assert last["before"] == {"role": "developer"} and last["after"] == {"role": "viewer"}
    older = json.loads(
        as_admin("events", "--text", "developer", "--before", str(last["id"]), "-o", "json").out
    )
    assert older[-1]["id"] == first["id"]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"before": None, "after": None}, ""),
        ({"before": {"a": 1}, "after": {"a": 1}}, ""),
        ({"before": {"a": 1, "b": None}, "after": {"a": 2, "b": True}}, "a 1 → 2, b - → yes"),
        ({"before": None, "after": {"roles": {"x": "y"}}}, 'roles - → {"x": "y"}'),
        ({"before": {"value": "red"}, "after": None}, "value red → -"),
        ({}, ""),
    ],
)
def test_a_change_in_a_line(event: dict[str, object], words: str) -> None:
    assert change_of(event) == words


def test_scaling_says_the_number_and_that_of_halage_toml(as_dev: Halage, served: Served) -> None:
    scaled = as_dev("env", "scale", "shop", "prod", "1")
    assert scaled.code == 0 and "prod of shop: 1 instance, halage.toml says 1." in scaled.out
    reset = as_dev("env", "scale", "shop", "prod", "--reset")
    assert reset.code == 0 and "1 instance, as halage.toml says" in reset.out
    for wrong in ([], ["3", "--reset"]):
        refused = as_dev("env", "scale", "shop", "prod", *wrong)
        assert refused.code == 2 and "--reset" in refused.err
    assert as_dev("env", "scale", "shop", "prod", "101").code == 2
    assert [call[3] for call in served.world.environments.calls if call[0] == "scale"] == [1, None]


def test_events_are_written_to_a_new_file(as_dev: Halage, served: Served, tmp_path: Path) -> None:
    assert as_dev("env", "set", "shop", "prod", "A=1").code == 0
    shown = json.loads(as_dev("events", "--limit", "1000", "-o", "json").out)
    lines, table = tmp_path / "events.jsonl", tmp_path / "events.csv"
    for path in (lines, table):
        done = as_dev("events", "--export", str(path))
        assert done.code == 0, done.err
        assert f"Wrote {len(shown)} events" in done.out + done.err
    assert [json.loads(line) for line in lines.read_text().splitlines()] == shown
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["action"] for row in rows] == [each["action"] for each in shown]
    again = as_dev("events", "--export", str(lines))
    assert again.code == 2 and "is there already" in again.err
    other = as_dev("events", "--export", str(tmp_path / "events.xml"))
    assert other.code == 2 and ".csv or .jsonl" in other.err
    assert sorted(path.name for path in tmp_path.glob("events*")) == ["events.csv", "events.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "show", "99"), 4, "no run 99"),
        (("project", "show", "hidden"), 4, "no project hidden"),
        (("project", "show", "nosuch"), 4, "no project nosuch"),
        (("env", "show", "shop", "staging"), 4, "it has prod"),
        (("project", "delete", "shop", "--yes"), 3, "the role admin"),
        (("user", "list"), 3, "administrator"),
        (("run", "cancel", "1"), 1, "ended already"),
        (("approve", "shop"), 1, "halage run list shop"),
        (("approve", "shop", "2"), 4, ""),
        (("env", "rollback", "shop", "prod", "latest"), 2, "v7"),
        (("env", "set", "shop", "prod", "1A=x"), 2, "variable"),
        (("run", "list"), 2, "project"),
        (("nonsense",), 2, "nonsense"),
        (("project", "list", "--output", "xml"), 2, "table or json"),
        (("events", "--follow", "--until", "1h"), 2, "leave out --until"),
        (("events", "--follow", "--before", "9"), 2, "leave out --until and --before"),
        (("events", "--export", "x.csv", "--before", "9"), 2, "leave out --follow, --after, --before"),
    ],
)
def test_exit_codes(as_dev: Halage, arguments: tuple[str, ...], code: int, words: str) -> None:
    result = as_dev(*arguments)
    assert (result.code, result.out) == (code, "")
    assert words in " ".join(result.err.split())
    assert "Traceback" not in result.err


def test_a_wrong_token_is_not_allowed(
    served: Served, halage: Halage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HALAGE_URL", served.url)
    monkeypatch.setenv("HALAGE_TOKEN", "halage_wrong")
    assert halage("project", "list").code == 3


def test_a_server_that_is_not_there(halage: Halage, monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("HALAGE_URL", f"http://127.0.0.1:{free_port}")
    result = halage("project", "list")
    assert result.code == 1
    assert "halage serve" in result.err


def test_no_server_set(halage: Halage) -> None:
    result = halage("project", "list")
    assert result.code == 2
    assert "halage configure" in result.err


def test_configure_checks_and_keeps_a_profile(served: Served, halage: Halage, tmp_path: Path) -> None:
    wrong = halage("configure", "--url", served.url, stdin="halage_wrong\n")
    assert wrong.code == 3
    token = tmp_path / "token"
    token.write_text(served.world.tokens["dev"] + "\n")
    done = halage("configure", "--url", served.url, "--token-file", str(token), "--default-output", "json")
    assert done.code == 0, done.err
    assert "as dev" in done.err
    kept = tmp_path / "home" / "config" / "halage" / "profiles.toml"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert json.loads(halage("project", "list").out)[0]["name"] == "shop"


def test_a_profile_s_token_is_not_sent_to_another_server(
    served: Served, halage: Halage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert halage("configure", "--url", served.url, stdin=served.world.tokens["dev"]).code == 0
    monkeypatch.setenv("HALAGE_URL", served.url.replace("127.0.0.1", "localhost"))
    assert halage("project", "list").code == 3


def test_watching_a_run_that_failed_ends_in_1_and_names_the_test(as_dev: Halage, served: Served) -> None:
    served.world.pipeline.stored[1] = a_run(state=RunState.FAILED)
    result = as_dev("run", "watch", "shop")
    assert result.code == 1
    assert "  | three" in result.out
    assert "test         succeeded in 1.0 s" in result.out
    assert "halage run retry 1" in result.err
    assert as_dev("run", "watch", "1", "--output", "json").code == 1


def test_terminal_codes_from_elsewhere_are_not_printed(as_dev: Halage, served: Served) -> None:
    served.world.builds.lines = ["\x1b]0;owned\x07\x1b[2J[bold]red[/bold]"]
    assert as_dev("run", "logs", "1").out == "[bold]red[/bold]\n"


def test_approving_with_a_comment(as_dev: Halage, served: Served) -> None:
    served.world.pipeline.waiting = a_run(state=RunState.WAITING)
    assert as_dev("approve", "shop", "-m", "looks good").code == 0
    assert as_dev("reject", "shop", "1").code == 0
    assert served.world.pipeline.calls == [("approve", 1, "looks good", "dev"), ("reject", 1, "", "dev")]


def test_a_secret_comes_by_stdin(as_dev: Halage, served: Served) -> None:
    result = as_dev("env", "set", "shop", "prod", "KEY", "--secret", stdin="hunter2\n")
    assert result.code == 0
    assert served.world.environments.calls == [("set", "KEY", "hunter2", True)]
    assert "hunter2" not in result.out + result.err


def test_a_git_credential_is_installed_and_answers_git(as_dev: Halage, served: Served) -> None:
    assert as_dev("git-credential", "--install").code == 0
    asked = f"url={served.url}/git/shop.git\n\n"
    filled = subprocess.run(
        ["git", "credential", "fill"], input=asked, capture_output=True, text=True, check=True
    )
    assert "username=dev\n" in filled.stdout
    host = served.url.removeprefix("http://")
    answer = as_dev("git-credential", "get", stdin=f"protocol=http\nhost={host}\n\n")
    assert answer.out in filled.stdout
    assert as_dev("git-credential", "get", stdin="protocol=http\nhost=elsewhere\n\n").out == ""
    as_dev("git-credential", "erase", stdin=f"protocol=http\nhost={host}\n\n")
    assert as_dev("git-credential", "get", stdin=f"protocol=http\nhost={host}\n\n").out != answer.out


def test_a_project_from_a_template_is_ready_for_a_push(as_admin: Halage, served: Served) -> None:
    result = as_admin("project", "create", "boutique", "--template", "laravel")
    assert result.code == 0, result.err
    assert "cd boutique && git push" in result.err
    copy = Path("boutique")
    assert (copy / "artisan").exists()
    assert _git(copy, "status", "--porcelain") == ""
    assert _git(copy, "log", "--format=%s") == "First version\n"
    assert _git(copy, "rev-parse", "--abbrev-ref", "HEAD") == "main\n"
    assert _git(copy, "push", "--dry-run", check=False) is not None
    url = _git(copy, "remote", "get-url", "origin").strip()
    assert url.endswith("/git/boutique.git")
    helper = _git(copy, "config", "--get-all", "credential.http://halage.test.helper")
    assert "store --file=" in helper


def test_nothing_is_made_where_something_is_in_the_way(as_admin: Halage, served: Served) -> None:
    Path("boutique").mkdir()
    Path("boutique/mine").write_text("keep me")
    result = as_admin("project", "create", "boutique", "--template", "laravel")
    assert result.code == 1
    assert "--directory" in result.err
    assert "boutique" not in served.world.projects.names


def test_an_existing_site_gets_a_remote(as_admin: Halage) -> None:
    assert as_admin("project", "create", "elsewhere", "--here").code == 1
    subprocess.run(["git", "init", "--quiet", "."], check=True)
    assert as_admin("project", "create", "boutique", "--here").code == 0
    assert _git(Path(), "remote", "get-url", "halage").strip().endswith("/git/boutique.git")


def test_deleting_asks_for_the_name(as_admin: Halage, served: Served) -> None:
    assert as_admin("project", "delete", "shop", stdin="wrong\n").code == 1
    assert "shop" in served.world.projects.names
    assert as_admin("project", "delete", "shop", stdin="shop\n").code == 0
    assert "shop" not in served.world.projects.names


def test_people_and_members(as_admin: Halage, served: Served) -> None:
    added = as_admin("user", "add", "eve")
    assert added.out.startswith("http://halage.test/login/")
    assert as_admin("project", "member", "set", "shop", "eve", "viewer").code == 0
    assert as_admin("project", "member", "remove", "shop", "eve").code == 0
    assert as_admin("project", "member", "set", "shop", "nobody", "viewer").code == 4


def test_check_tells_what_is_wrong(halage: Halage) -> None:
    Path("index.html").write_text("<h1>hello</h1>")
    good = halage("check")
    assert good.code == 0, good.err
    assert "static" in good.out
    Path("halage.toml").write_text("[run]\nstrat = 'x'\n")
    bad = halage("check")
    assert bad.code == 1
    assert "start" in bad.err
    listed = json.loads(halage("check", "-o", "json").out)
    assert listed["is_valid"] is False


def test_version(halage: Halage) -> None:
    assert re.fullmatch(r"halage \d+\.\d+\.\d+\n", halage("--version").out)


def _git(directory: Path, *arguments: str, check: bool = True) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=directory, capture_output=True, text=True, check=check
    ).stdout
