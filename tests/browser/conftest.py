from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests.browser.served import Served
from tests.browser.visitor import Visitor, open_browser
from tests.browser.waves import Waves, app_with


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser for all tests: it takes seconds to start."""
    driver = open_browser(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture
def served(tmp_path: Path, free_port: int) -> Iterator[Served]:
    """The console over its sample services."""
    served = Served(tmp_path, free_port)
    yield served
    served.close()


@pytest.fixture
def visitor(driver: webdriver.Chrome, served: Served) -> Iterator[Visitor]:
    """A person at a fresh browser; fails when the browser complained of the pages."""
    visitor = Visitor(driver, served.url)
    visitor.reset()
    yield visitor
    complaints = visitor.complaints()
    driver.get("about:blank")
    assert complaints == []


@pytest.fixture
def waves(served: Served) -> Waves:
    """Made-up metrics behind the console."""
    waves = Waves()
    served.stop()
    served.start(app_with(served.sample.services, waves.answer))
    return waves
