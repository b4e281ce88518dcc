"""PHP behind nginx, as `serving` says it, with the real programs."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.components.site.conftest import STRANGER, Instance, Sites, development_server

SHOW = "<?php header('Content-Type: application/json'); echo json_encode($_SERVER + ['env' => getenv()]);"
FILES = {
    "index.php": SHOW,
    "page.php": "<?php echo 'page', $_SERVER['PATH_INFO'] ?? '';",
    "slow.php": "<?php error_log('slow begins'); usleep(800000); echo 'done';",
    "log.php": "<?php error_log('a line for the log'); "
    "file_put_contents('php://stderr', \"and another\\n\"); echo 1;",
    "session.php": "<?php session_start(); echo $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;",
    "style.css": "body { color: navy }",
    ".env": "SECRET=1",
    ".git/config": "[core]",
    "halage.toml": '[run]\npersistent = ["uploads"]\n',
    "composer.json": "{}",
    "uploads/photo.txt": "a photo",
    "uploads/shell.php": "<?php echo 'run';",
    "vendor/library.php": "<?php echo 'library';",
    "empty/.keep": "",
}
HIDDEN = [
    "/.env",
    "/.git/config",
    "/%2eenv",
    "/halage.toml",
    "/HALAGE.toml",
    "/composer.json",
    "/uploads/shell.php",
    "/uploads/shell.php/x",
    "/vendor/library.php",
    "/.halage/sessions/",
    "/missing.css",
    "/missing.php",
]
USERS = [
    None,
    pytest.param(STRANGER, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can change user")),
]


@pytest.mark.parametrize("uid", USERS)
def test_a_php_site_is_served_by_an_unprivileged_user_and_by_root(sites: Sites, uid: int | None) -> None:
    instance = sites.start(sites.release(FILES), uid=uid, variables={"GREETING": "salut à toi"})
    seen = instance.get("/?a=1").json()
    assert seen["env"]["GREETING"] == "salut à toi"
    assert seen["env"]["HALAGE_COMMIT"] == "abc1234"
    assert seen["QUERY_STRING"] == "a=1"
    assert instance.get("/page.php/more").text == "page/more"
    assert instance.get("/style.css").headers["content-type"] == "text/css; charset=utf-8"
    assert instance.get("/not/a/page").json()["REQUEST_URI"] == "/not/a/page"
    assert "alert" not in instance.text(), instance.text()
    assert "error" not in instance.text().lower(), instance.text()


def test_what_visitors_must_not_see_is_not_there(sites: Sites) -> None:
    instance = sites.start(sites.release(FILES))
    answers = {path: instance.get(path).status_code for path in HIDDEN}
    assert answers == dict.fromkeys(HIDDEN, 404)
    assert instance.get("/uploads/photo.txt").text == "a photo"
    assert instance.get("/empty/").status_code == 403


def test_php_sees_what_the_visitor_asked_the_balancer_for(sites: Sites) -> None:
    instance = sites.start(sites.release(FILES))
    seen = instance.get(
        "/", X_Forwarded_Proto="https", X_Forwarded_Host="boutique.example.org", X_Forwarded_For="203.0.113.9"
    ).json()
    assert (seen["HTTPS"], seen["HTTP_HOST"], seen["REMOTE_ADDR"]) == (
        "on",
        "boutique.example.org",
        "203.0.113.9",
    )
    assert (seen["REQUEST_SCHEME"], seen["SERVER_PORT"]) == ("https", "443")
    assert "HTTPS" not in instance.get("/").json()


def _await_text(instance: Instance, text: str) -> None:
    deadline = time.monotonic() + 30
    while text not in instance.text():
        assert time.monotonic() < deadline, instance.text()
        time.sleep(0.02)


def test_what_php_logs_is_in_the_output_of_the_instance(sites: Sites) -> None:
    uid = STRANGER if os.geteuid() == 0 else None
    instance = sites.start(sites.release(FILES), uid=uid)
    assert instance.get("/log.php").text == "1"
    _await_text(instance, "and another")
    assert "a line for the log" in instance.text()


def test_a_session_is_the_same_in_all_instances_of_a_release(sites: Sites) -> None:
    release = sites.release(FILES)
    first, second = sites.start(release), sites.start(release)
    cookies = first.get("/session.php").cookies
    with httpx.Client(trust_env=False, cookies=dict(cookies)) as client:
        assert client.get(f"{second.url}/session.php").text == "2"


@pytest.mark.parametrize("to_all", [False, True], ids=["to-its-leader", "to-the-group"])
def test_term_lets_the_requests_under_way_end(sites: Sites, to_all: bool) -> None:
    instance = sites.start(sites.release(FILES))
    answers: list[str] = []
    visitor = threading.Thread(target=lambda: answers.append(instance.get("/slow.php").text))
    visitor.start()
    _await_text(instance, "slow begins")
    assert len(instance.members()) >= 5
    (os.killpg if to_all else os.kill)(instance.process.pid, signal.SIGTERM)
    assert instance.process.wait(30) == 0
    visitor.join()
    assert answers == ["done"]
    assert instance.members() == []


@pytest.mark.parametrize("name", ["nginx: master", "php-fpm: master"])
def test_when_one_server_dies_the_instance_ends_with_a_failure(sites: Sites, name: str) -> None:
    instance = sites.start(sites.release(FILES))
    assert len(instance.members()) >= 5
    os.kill(instance.named(name), signal.SIGKILL)
    assert instance.process.wait(30) == 1
    assert instance.members() == []
    assert "ended by itself" in instance.text()


def test_servers_do_not_outlive_a_killed_group(sites: Sites) -> None:
    instance = sites.start(sites.release(FILES))
    assert len(instance.members()) >= 5
    os.killpg(instance.process.pid, signal.SIGKILL)
    instance.process.wait(30)
    deadline = time.monotonic() + 30
    while instance.members() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert instance.members() == []


def test_a_php_that_cannot_start_ends_the_instance(sites: Sites) -> None:
    release = sites.release(FILES)
    with pytest.raises(AssertionError, match=r"exited with 1"):
        sites.start(release, before=lambda place: (place.private / "php.sock").mkdir())


def test_it_fits_the_smallest_type(sites: Sites) -> None:
    instance = sites.start(sites.release(FILES), memory_mib=128)
    for _ in range(5):
        assert instance.get("/").status_code == 200
    assert _private_mib(instance) < 100


def test_phps_development_server_is_there_for_those_who_ask(sites: Sites) -> None:
    instance = sites.start(sites.release(FILES), change=development_server)
    assert instance.get("/").json()["SERVER_SOFTWARE"].startswith("PHP")
    assert instance.get("/.env").status_code == 404
    assert instance.get("/style.css").text == FILES["style.css"]
    assert not [pid for pid in instance.members() if "nginx" in _command(pid)]


def test_a_laravel_site_runs_index_php_and_no_other(sites: Sites) -> None:
    files = {
        "artisan": "",
        "composer.json": "{}",
        "public/index.php": SHOW,
        "public/other.php": "<?php echo 1;",
    }
    instance = sites.start(sites.release(files | {"public/robots.txt": "robots", ".env": "KEY=1"}))
    assert json.loads(instance.get("/a/b?c=d").text)["REQUEST_URI"] == "/a/b?c=d"
    assert instance.get("/robots.txt").text == "robots"
    assert instance.get("/other.php").status_code == 404
    assert instance.get("/../.env").status_code in (400, 404, 200)
    assert (instance.place.release / "storage" / "framework" / "views").is_dir()
    assert (instance.place.release / "public" / "storage").resolve().name == "public"


def _command(pid: int) -> str:
    return subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout


def _private_mib(instance: Instance) -> float:
    total = 0
    for pid in instance.members():
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024
