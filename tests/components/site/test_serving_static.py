"""Static files by nginx, and sites with a start command of their own."""

import os
import signal

import pytest

from tests.components.site.conftest import STRANGER, Sites

STATIC = {
    "index.html": "<h1>home</h1>",
    "about.html": "about",
    "docs/index.html": "docs",
    "empty/.keep": "",
    "style.css": "body { color: navy }\n" * 100,
    "app.3f2a9c1b.js": "let a",
    "404.html": "nothing here",
    ".env": "SECRET=1",
    "halage.toml": "",
    "Procfile": "",
    ".well-known/security.txt": "Contact: us",
}
START = """\
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(repr(dict(os.environ)).encode())
http.server.HTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Page).serve_forever()
"""
USERS = [
    None,
    pytest.param(STRANGER, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can change user")),
]


@pytest.mark.parametrize("uid", USERS)
def test_a_static_site_is_served_with_sane_headers(sites: Sites, uid: int | None) -> None:
    instance = sites.start(sites.release({k: v for k, v in STATIC.items() if k != "Procfile"}), uid=uid)
    home = instance.get("/")
    assert home.text == "<h1>home</h1>"
    assert home.headers["cache-control"] == "no-cache"
    assert instance.get("/", If_None_Match=home.headers["etag"]).status_code == 304
    style = instance.get("/style.css", Accept_Encoding="gzip")
    assert style.headers["cache-control"] == "public, max-age=3600"
    assert style.headers["content-encoding"] == "gzip"
    assert "immutable" in instance.get("/app.3f2a9c1b.js").headers["cache-control"]
    assert instance.get("/about").text == "about"
    assert instance.get("/docs/").text == "docs"
    assert instance.get("/docs").headers["location"] == "/docs/"
    assert instance.get("/.well-known/security.txt").text == "Contact: us"
    missing = instance.get("/missing")
    assert (missing.status_code, missing.text) == (404, "nothing here")
    hidden = ["/.env", "/halage.toml", "/empty/", "/.well-known/../.env"]
    assert [instance.get(path).status_code for path in hidden] == [404] * 4
    assert "alert" not in instance.text()
    assert instance.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_a_link_to_what_another_user_owns_is_not_followed(sites: Sites) -> None:
    release = sites.release({"index.html": "home", "other.txt": "mine"})
    secret = sites.directory / "secret.txt"
    secret.write_text("the server's")
    secret.chmod(0o644)
    (release / "secret.txt").symlink_to(secret)
    (release / "alias.txt").symlink_to("other.txt")
    instance = sites.start(release, uid=STRANGER)
    os.lchown(release / "secret.txt", STRANGER, STRANGER)
    os.chown(secret, 0, 0)
    assert instance.get("/alias.txt").text == "mine"
    assert instance.get("/secret.txt").status_code in (403, 404)


def test_a_start_command_gets_its_address_and_nothing_of_the_server(sites: Sites) -> None:
    os.environ["SERVER_ONLY"] = "secret"
    release = sites.release({"requirements.txt": "", "main.py": START, "Procfile": "web: python3 main.py"})
    instance = sites.start(release, variables={"COLOUR": "blue", "PORT": "1"})
    seen = eval(instance.get("/").text)
    assert seen["PORT"] == str(instance.place.port)
    assert seen["COLOUR"] == "blue"
    assert seen["HOME"] == seen["TMPDIR"] == str(instance.place.private)
    assert (seen["HALAGE_PROJECT"], seen["HALAGE_RELEASE"]) == ("boutique", "3")
    assert "SERVER_ONLY" not in seen
    assert instance.stop() == -signal.SIGTERM


def test_term_reaches_the_site_whatever_its_start_command_is(sites: Sites) -> None:
    graceful = START.replace(
        "http.server.HTTPServer(",
        "import signal, sys, time\n"
        "def end(*_): time.sleep(0.2); print('ended well', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "http.server.HTTPServer(",
    )
    for start in ("python3 main.py", "true && python3 main.py", "A=1 python3 main.py"):
        files = {"requirements.txt": "", "main.py": graceful, "halage.toml": f"[run]\nstart = '{start}'"}
        instance = sites.start(sites.release(files))
        assert instance.members()
        os.killpg(instance.process.pid, signal.SIGTERM)
        assert instance.process.wait(30) == 0, start
        assert "ended well" in instance.text(), start
        assert instance.members() == [], start
