"""What every tier may use: a clock moved by hand, free ports, a data directory for each test."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from tests.clock import ManualClock
from tests.ports import unused_port


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves with `await clock.advance(seconds)`."""
    return ManualClock()


# A job in the background of a shell ignores Ctrl-C, and all that it starts inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: two workers on a busy machine are slow without being wrong. In the continuous
# integration every run tries the same examples, so that red means that this change broke it.
hypothesis.settings.register_profile("here", deadline=None, max_examples=50)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session", autouse=True)
def _others_may_walk_through(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the accounts of projects, and PostgreSQL's, reach what a test gives them below its directory.

    pytest keeps its directories to their owner, one level deeper with workers than without.
    """
    base = tmp_path_factory.getbasetemp()
    for directory in (base, *base.parents):
        if directory.stat().st_uid != os.geteuid() or directory.stat().st_mode & 0o001:
            continue
        directory.chmod(directory.stat().st_mode | 0o011)


@pytest.fixture
def free_port() -> int:
    """A loopback port that nothing listens on."""
    return unused_port()


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """`free_ports(3)`: as many different loopback ports that nothing listens on."""
    return lambda count: [unused_port() for _ in range(count)]


@pytest.fixture
def data_directory(tmp_path: Path) -> Path:
    """An empty data directory with the mode that the server gives it (others may traverse it)."""
    directory = tmp_path / "data"
    directory.mkdir(mode=0o711)
    return directory
