from wsgiref.util import setup_testing_defaults

import pytest

from app import application


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch):
    for name in ("PROJECT", "ENVIRONMENT", "RELEASE", "COMMIT"):
        monkeypatch.delenv(f"HALAGE_{name}", raising=False)

    def request(path: str, method: str = "GET") -> tuple[str, str]:
        environ = {"PATH_INFO": path, "REQUEST_METHOD": method}
        setup_testing_defaults(environ)
        seen: list[str] = []
        body = b"".join(application(environ, lambda status, headers: seen.append(status)))
        return seen[0], body.decode()

    return request


def test_the_home_page_shows_the_locks(ask) -> None:
    status, body = ask("/")
    assert status == "200 OK"
    assert "Which lock is open?" in body
    assert body.count('class="card"') == 3


def test_it_shows_which_commit_runs_where(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALAGE_ENVIRONMENT", "preprod")
    monkeypatch.setenv("HALAGE_COMMIT", "0123456789" * 4)
    monkeypatch.setenv("HALAGE_RELEASE", "7")
    body = ask("/")[1]
    assert "v7 · commit <code>0123456</code>" in body
    assert '<li aria-current="step">preprod</li>' in body


def test_names_are_escaped(ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALAGE_ENVIRONMENT", "<script>")
    assert "<script>" not in ask("/")[1]


def test_it_is_well(ask) -> None:
    assert ask("/health") == ("200 OK", "well\n")


@pytest.mark.parametrize("path", ["/nowhere", "/../app.py", "/..//app.py", "/static"])
def test_there_is_nothing_else(ask, path: str) -> None:
    assert ask(path)[0] == "404 Not Found"


def test_files_of_static_are_served(ask) -> None:
    assert "--paper" in ask("/app.css")[1]


def test_a_post_is_refused_and_a_head_has_no_body(ask) -> None:
    assert ask("/", "POST")[0] == "405 Method Not Allowed"
    assert ask("/", "HEAD") == ("200 OK", "")
