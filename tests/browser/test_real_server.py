"""The console of a real server: from the first sign-in to production, by clicks and one push."""

import re
from collections.abc import Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.browser.visitor import Visitor
from tests.product import Product, WorkingCopy
from tests.product_fixtures import log_of_a_failing_test, server

__all__ = ["log_of_a_failing_test", "server"]

PASSWORD = "a long enough password"
_ABOUT = """\
kind = "python"
[test]
commands = ["python3 test_site.py"]
reports = ["report.xml"]
[run]
start = "python3 site_of_mine.py"
[environments.prod]
approval = true
instances = 2
"""
_SITE = """\
import http.server, os
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"{word}"
        print("asked for", self.path, flush=True)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
address = (os.environ["HOST"], int(os.environ["PORT"]))
http.server.ThreadingHTTPServer(address, Answer).serve_forever()
"""
_TEST = """\
import sys
print("\\033[32mthe site is tested\\033[0m <b>really</b>", flush=True)
with open("report.xml", "w") as report:
    report.write('<testsuite name="site"><testcase name="works" time="0.1"/>{failure}</testsuite>')
sys.exit({code})
"""
_FAILURE = '<testcase name="greets"><failure message="bonjour is not hello">line 7</failure></testcase>'


def site(word: str, *, is_broken: bool = False) -> dict[str, str]:
    """The files of a small site without dependencies that answers `word`."""
    test = _TEST.replace("{failure}", _FAILURE if is_broken else "").replace("{code}", str(int(is_broken)))
    return {"halage.toml": _ABOUT, "site_of_mine.py": _SITE.replace("{word}", word), "test_site.py": test}


class Developer:
    """Pushes to the project with a credential that the console gave out."""

    def __init__(self, server: Product, secret: str) -> None:
        self._copy = WorkingCopy(server, "boutique")
        self._remote = server.remote("boutique", "admin", secret)

    def push(self, title: str, word: str, *, is_broken: bool = False) -> None:
        self._copy.commit(site(word, is_broken=is_broken), title)
        done = self._copy.try_push(remote=self._remote)
        assert done.code == 0, done.text


@pytest.fixture
def visitor(driver: webdriver.Chrome, server: Product) -> Iterator[Visitor]:
    visitor = Visitor(driver, server.url)
    visitor.reset()
    yield visitor
    complaints = visitor.complaints()
    driver.get("about:blank")
    assert complaints == []


def stage_states(visitor: Visitor) -> list[str]:
    return [stage.get_attribute("class") or "" for stage in visitor.all(".canal > li")]


def first_sign_in(visitor: Visitor, server: Product) -> None:
    link = re.search(r"/login/login_\S+", server.log.read_text())
    assert link is not None
    visitor.open(link[0])
    visitor.find("main button").click()
    visitor.wait(lambda: visitor.sees("Choose a password below"))
    visitor.find("#password").send_keys(PASSWORD)
    visitor.find("#again").send_keys(PASSWORD)
    visitor.find("form[action='/account/password'] button").click()
    visitor.wait(lambda: visitor.sees("Saved."))


def new_project(visitor: Visitor, server: Product) -> Developer:
    visitor.find("#git-name").send_keys("test machine")
    visitor.find("form[action='/account/git-credential'] button").click()
    visitor.wait(lambda: visitor.all("#secret"))
    secret = visitor.text("#secret")
    visitor.open("/projects")
    visitor.find("main a.button.main").click()
    visitor.find("#name").send_keys("boutique")
    visitor.find("main form button").click()
    visitor.wait(lambda: visitor.path == "/projects/boutique")
    remote = visitor.text("#push-remote").removeprefix("git remote add halage ")
    assert remote == f"{server.url}/git/boutique.git"
    return Developer(server, secret)


@pytest.mark.timeout(240)
def test_from_the_first_sign_in_to_production(visitor: Visitor, server: Product) -> None:
    first_sign_in(visitor, server)
    developer = new_project(visitor, server)

    # The project's page shows the push by itself.
    visitor.wait(lambda: visitor.find(".live").get_attribute("data-live") == "on")
    developer.push("Say hello", "hello")
    visitor.wait(lambda: visitor.all(".run"), 20)
    visitor.find(".run-link").click()

    # The run goes on under the eyes of who looks at it, and stops before production.
    visitor.wait(lambda: visitor.all("form[action$='/approve']"), 60)
    assert stage_states(visitor) == ["is-succeeded"] * 4 + ["is-waiting", "is-pending"]
    assert "the site is tested <b>really</b>" in visitor.text("#console")
    assert visitor.all("#console .ansi-green")
    assert "1 passed" in visitor.text(".counts")
    assert visitor.all(".phases")
    visitor.find("#comment").send_keys("Let it flow")
    visitor.find("form[action$='/approve'] button.main").click()
    visitor.wait(lambda: stage_states(visitor) == ["is-succeeded"] * 6, 60)
    visitor.wait(lambda: "Succeeded" in visitor.text(".run-facts"))
    assert "by admin" in visitor.text(".canal") and "Let it flow" in visitor.text(".canal")
    assert server.visit("boutique.localhost").body == "hello"

    visitor.open("/projects/boutique")
    assert [card.text.split("\n")[0] for card in visitor.all(".env")] == ["dev", "preprod", "prod"]
    visitor.wait(lambda: [colour.text for colour in visitor.all(".env .colour")] == ["Green"] * 3, 20)

    # A broken commit: the cause is on top.
    developer.push("Say bonjour", "bonjour", is_broken=True)
    visitor.wait(lambda: len(visitor.all(".run")) == 2, 20)
    visitor.find(".run-link").click()
    visitor.wait(lambda: visitor.all("#cause-title"), 60)
    assert "Failed in test" in visitor.text("#cause-title")
    assert "bonjour is not hello" in visitor.text(".failed-tests")
    assert server.visit("boutique.localhost").body == "hello"
    assert Select(visitor.find("#stage")).first_selected_option.text == "test"

    environment(visitor, server, developer)


def environment(visitor: Visitor, server: Product, developer: Developer) -> None:
    """Logs, a secret variable, a second release and the way back."""
    base = "/projects/boutique/environments/dev"
    visitor.open(f"{base}/logs")
    visitor.wait(lambda: visitor.find(".live").get_attribute("data-live") == "on")
    assert server.visit("dev.boutique.localhost").body == "hello"
    visitor.wait(lambda: "asked for /" in visitor.text(".console"))

    visitor.open(f"{base}/variables")
    visitor.find("#variable").send_keys("API_KEY")
    visitor.find("#value").send_keys("hunter2")
    visitor.find("#secret").click()
    visitor.find("main .card form button").click()
    visitor.wait(lambda: visitor.sees("API_KEY"))
    assert visitor.sees("not shown") and "hunter2" not in visitor.driver.page_source

    developer.push("Say good day", "good day")
    visitor.open(base)
    visitor.wait(lambda: visitor.all("form.roll"), 60)
    visitor.wait(lambda: "Succeeded" in visitor.text(".deployments .badge"), 60)
    assert server.visit("dev.boutique.localhost").body == "good day"
    visitor.find("form.roll button").click()
    visitor.wait(lambda: "Rollback to v1" in visitor.text(".deployments"), 30)
    visitor.wait(lambda: server.visit("dev.boutique.localhost").body == "hello", 60)

    visitor.open("/events?project=boutique")
    assert visitor.driver.find_elements(By.XPATH, "//code[text()='environment:Rollback']")
