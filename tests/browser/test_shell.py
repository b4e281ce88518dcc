"""A shell in the page, of a real server: typed into, drawn, left."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.browser.visitor import Visitor
from tests.product import Product, WorkingCopy, eventually
from tests.product_fixtures import log_of_a_failing_test, server
from tests.services.web.console.sample import PASSWORD
from tests.sites import site, toml_of

__all__ = ["log_of_a_failing_test", "server"]

PAGE = "/projects/shop/environments/prod/shell"
PROMPT = "shop/prod v1 $"
PICTURES = os.environ.get("HALAGE_PICTURES")


@pytest.fixture(scope="module")
def shop(server: Product) -> WorkingCopy:
    copy = WorkingCopy(server, "shop")
    copy.deploy(site("first", toml=toml_of(instances=2)))
    for name, role in (("paul", "developer"), ("zoe", "viewer")):
        server.client.add_user(name, password=PASSWORD)
        server.client.set_member("shop", name, role)
    return copy


@pytest.fixture
def visitor(driver: webdriver.Chrome, server: Product, shop: WorkingCopy) -> Iterator[Visitor]:
    visitor = Visitor(driver, server.url)
    visitor.reset()
    yield visitor
    complaints = visitor.complaints()
    driver.get("about:blank")
    assert complaints == []


def shells(server: Product) -> list[str]:
    return [unit for unit in server.leaders() if unit.startswith("x-")]


def shown(visitor: Visitor) -> str:
    text = str(visitor.run("return document.querySelector('.terminal-lines').innerText"))
    return "\n".join(line.rstrip() for line in text.split("\n"))


def opened(visitor: Visitor, user: str = "paul") -> None:
    visitor.sign_in(user)
    visitor.open(PAGE)
    visitor.find("#shell button").click()
    visitor.wait(lambda: PROMPT in shown(visitor))


def chord(visitor: Visitor, modifier: str, key: str) -> None:
    """Press a key while another one is held."""
    ActionChains(visitor.driver).key_down(modifier).send_keys(key).key_up(modifier).perform()


def test_a_person_works_in_a_shell(visitor: Visitor, server: Product) -> None:
    opened(visitor)
    assert visitor.text("#shell [role=status]") == "Open, in v1."
    visitor.press("echo $((40 + 2)) é", Keys.ENTER)
    visitor.wait(lambda: "\n42 é" in shown(visitor))
    visitor.press("printf '\\033[1;31mred\\033[0m \\033[38;5;208morange\\033[0m\\n'", Keys.ENTER)
    visitor.wait(lambda: visitor.all(".terminal .ink-1.is-bold"))
    visitor.press("stty size; tput cols", Keys.ENTER)
    size = visitor.run("return document.querySelector('.terminal-now').children.length")
    visitor.wait(lambda: f"\n{size} " in shown(visitor))
    visitor.press("sleep 74.25", Keys.ENTER)
    eventually(lambda: "74.25" in arguments(server), "the command to run")
    chord(visitor, Keys.CONTROL, "c")
    visitor.press("echo back", Keys.ENTER)
    visitor.wait(lambda: "\nback" in shown(visitor))
    visitor.press(Keys.ARROW_UP, Keys.ENTER)
    visitor.wait(lambda: shown(visitor).count("\nback") == 2)
    visitor.press("seq 1 300 | tail -n 300", Keys.ENTER)
    visitor.wait(lambda: "\n300" in shown(visitor))
    assert "\n17\n" in shown(visitor), "what scrolled off can be read"
    visitor.press("exit 7", Keys.ENTER)
    visitor.wait(lambda: visitor.text("#shell [role=status]") == "It ended with exit code 7.")
    assert shells(server) == []


def arguments(server: Product) -> str:
    return " ".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in server.processes())


def test_what_others_run_is_seen_and_ended_without_leaving_ones_own(
    visitor: Visitor, server: Product
) -> None:
    opened(visitor)
    others = server.client.execute_command("shop", "prod", ["sh", "-c", "echo begun; exec sleep 74.75"])
    assert next(others).name == "output"
    visitor.wait(lambda: len(visitor.all("#executions tbody tr")) == 2)
    row = next(row for row in visitor.all("#executions tbody tr") if "sleep 74.75" in row.text)
    assert "admin" in row.text and "a fresh instance" in row.text
    row.find_element(By.TAG_NAME, "button").click()
    assert [event.body["reason"] for event in others if event.name == "exit"] == ["paul ended it"]
    visitor.wait(lambda: len(visitor.all("#executions tbody tr")) == 1)
    visitor.find(".terminal-keys").send_keys("echo still here", Keys.ENTER)
    visitor.wait(lambda: "\nstill here" in shown(visitor))


def test_what_a_program_writes_is_never_read_as_html_and_asks_for_little(visitor: Visitor) -> None:
    opened(visitor)
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    visitor.press(f"printf '\\033]0;{hostile}\\007{hostile}\\033[999999999I\\033[999999999b|\\n'", Keys.ENTER)
    visitor.wait(lambda: shown(visitor).count(hostile) >= 2)
    assert not visitor.all(".terminal img, .terminal script")
    visitor.press("echo and on", Keys.ENTER)
    visitor.wait(lambda: "\nand on" in shown(visitor))


def test_a_program_that_draws(visitor: Visitor) -> None:
    opened(visitor)
    visitor.press("seq 1 500 | less", Keys.ENTER)
    visitor.wait(lambda: shown(visitor).rstrip().endswith(":"))
    before = shown(visitor)
    assert before.startswith("1\n2\n")
    visitor.press(" ")
    visitor.wait(lambda: shown(visitor) != before and not shown(visitor).startswith("1\n"))
    visitor.press("q")
    visitor.wait(lambda: shown(visitor).rstrip().endswith("$"))
    assert "seq 1 500 | less" in shown(visitor), "the screen from before is there again"


def test_the_window_may_change_and_the_keys_can_be_left(visitor: Visitor) -> None:
    opened(visitor)
    visitor.widen(700)
    visitor.press("clear; stty size", Keys.ENTER)
    rows = "return document.querySelector('.terminal-now').children.length"
    visitor.wait(lambda: f"{visitor.run(rows)} " in shown(visitor))
    assert visitor.run("return document.scrollingElement.scrollWidth <= innerWidth")
    chord(visitor, Keys.SHIFT, Keys.ESCAPE)
    assert visitor.run("return document.activeElement.id") == "where"


def test_who_leaves_the_page_ends_the_shell(visitor: Visitor, server: Product) -> None:
    opened(visitor)
    assert len(shells(server)) == 1
    visitor.open("/projects")
    eventually(lambda: not shells(server), "the shell to be gone")


def test_in_a_chosen_instance(visitor: Visitor, server: Product) -> None:
    chosen = server.client.show_environment("shop", "prod")["instances"][1]
    visitor.sign_in("paul")
    visitor.open(PAGE)
    Select(visitor.find("#where")).select_by_value(chosen["id"])
    visitor.find("#shell button").click()
    visitor.wait(lambda: PROMPT in shown(visitor))
    visitor.press("echo =$PORT=", Keys.ENTER)
    visitor.wait(lambda: f"={chosen['port']}=" in shown(visitor))


def test_a_viewer_has_none(visitor: Visitor) -> None:
    visitor.sign_in("zoe")
    visitor.open("/projects/shop/environments/prod")
    assert not [tab for tab in visitor.all(".tabs a") if tab.text == "Shell"]
    visitor.open(PAGE)
    assert visitor.sees("needs the role developer")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_use_it(visitor: Visitor, scheme: str, tmp_path: Path) -> None:
    visitor.prefer(scheme)
    opened(visitor)
    visitor.press("ls --color=always / | head -8; printf '\\033[7mturned\\033[0m\\n'", Keys.ENTER)
    visitor.wait(lambda: "\nturned" in shown(visitor))
    assert visitor.barriers() == []
    for width in (390, 768, 1440):
        visitor.widen(width, 900)
        assert visitor.run("return document.scrollingElement.scrollWidth <= innerWidth"), width
        directory = Path(PICTURES) if PICTURES else tmp_path
        visitor.driver.save_screenshot(str(directory / f"shell-{scheme}-{width}.png"))
