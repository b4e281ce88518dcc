"""A person with a real browser."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
    WebDriverException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.services.web.console.sample import PASSWORD

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")
_ASK_AXE = """
const done = arguments[arguments.length - 1];
const runOnly = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const node = (found) => `${found.target} ${found.html.slice(0, 160)} ${found.failureSummary}`;
axe.run(document, {runOnly})
  .then((result) => done(result.violations.map((rule) => `${rule.id}: ${rule.nodes.map(node).join(" | ")}`)))
  .catch((error) => done([String(error)]));
"""
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


def open_browser(profile: Path, language: str = "en") -> webdriver.Chrome:
    """A headless chromium with a profile directory of its own."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    assert chromium and driver, "The browser tests need: apt-get install chromium chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--lang={language}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver))


class Visitor:
    """What a person does with a browser, and what they see."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def reset(self) -> None:
        """A clean start: nobody signed in, light, wide, scripts on."""
        self._tell("Network.clearBrowserCookies")
        self._tell("Emulation.setScriptExecutionDisabled", value=False)
        self.prefer("light")
        self.live_in("")
        self.widen(1200, 900)
        self.driver.get("about:blank")
        self.driver.get_log("browser")  # type: ignore[no-untyped-call]

    def open(self, path: str) -> None:
        """Go to a page."""
        self.driver.get(self.url + path)

    def sign_in(self, user: str) -> None:
        """Sign in by the form."""
        self.open("/login")
        self.find("#user").send_keys(user)
        self.find("#password").send_keys(PASSWORD, Keys.ENTER)
        self.wait(lambda: self.path == "/projects")

    @property
    def path(self) -> str:
        """Where the browser is."""
        return str(self.driver.current_url).removeprefix(self.url)

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """All elements of a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """The visible text of an element."""
        return self.find(selector).text

    def sees(self, text: str) -> bool:
        """Whether a text is on the page."""
        return text in self.text("body")

    def wait(self, condition: Callable[[], object], seconds: float = 30) -> None:
        """Wait until something is so."""
        passing = (StaleElementReferenceException, NoSuchElementException)  # live parts are replaced
        try:
            WebDriverWait(self.driver, seconds, 0.05, passing).until(lambda _: _unless_replaced(condition))
        except TimeoutException:
            # The picture says more than the stack: what the person saw instead.
            pytest.fail(f"waited {seconds} s in vain at {self.path}, which shows:\n{self.text('main')}")

    def press(self, *keys: str) -> None:
        """Press keys where the focus is."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def run(self, script: str, *arguments: object) -> Any:
        """The value of a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def finds_nothing_too_wide(self, pages: Iterable[str]) -> None:
        """Open pages at three widths: none may have to be scrolled sideways."""
        for width in (390, 768, 1440):
            self.widen(width)
            for page in pages:
                self.open(page)
                scrolled = self.run("return document.documentElement.scrollWidth")
                assert scrolled <= width, (page, width, scrolled)

    def tab_to(self, selector: str, limit: int = 80) -> None:
        """Press Tab until the element has the focus, which must be visible on every stop."""
        for _ in range(limit):
            self.press(Keys.TAB)
            outline = self.run("return getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", self.run("return document.activeElement.outerHTML")
            if self.run("return document.activeElement.matches(arguments[0])", selector):
                return
        raise AssertionError(f"Tab never reaches {selector}")

    def speak(self, language: str) -> None:
        """Choose a language at the foot of the page; the next page comes in it."""
        self.find(f"button[value={language}]").click()
        self.wait(lambda: self.run("return document.documentElement.lang") == language)
        # It was sent and kept: a page that is opened at once would cut the form off.
        self.wait(lambda: (self.driver.get_cookie("halage_language") or {}).get("value") == language)

    def prefer(self, scheme: str) -> None:
        """Prefer light or dark."""
        self._tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def widen(self, width: int, height: int = 844) -> None:
        """Give the page a size."""
        self._tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    def live_in(self, zone: str) -> None:
        """Be in a time zone; an empty one is that of the machine."""
        self._tell("Emulation.setTimezoneOverride", timezoneId=zone)

    def count_nodes(self) -> int:
        """How many nodes the browser holds, once it has thrown away what nothing refers to."""
        self._tell("HeapProfiler.collectGarbage")
        return int(self.driver.execute_cdp_cmd("Memory.getDOMCounters", {})["nodes"])

    def without_scripts(self) -> None:
        """Let no page run a script."""
        self._tell("Emulation.setScriptExecutionDisabled", value=True)

    def complaints(self) -> list[str]:
        """What the browser has complained of: violations of the policy, scripts that broke."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [
            entry["message"]
            for entry in entries
            if "Content Security Policy" in entry["message"]
            or (entry["level"] == "SEVERE" and entry["source"] == "javascript")
        ]

    def barriers(self) -> list[str]:
        """What axe-core finds against WCAG 2.2 A and AA on the page."""
        self.run(AXE)
        found = self.driver.execute_async_script(_ASK_AXE)
        return list(found)

    def _tell(self, command: str, **parameters: object) -> None:
        self.driver.execute_cdp_cmd(command, parameters)


def _unless_replaced(condition: Callable[[], object]) -> object:
    """The condition; None when its page was replaced under the look, which has two names."""
    try:
        return condition()
    except WebDriverException as error:
        if "unhandled inspector error" in (error.msg or ""):
            return None
        raise
