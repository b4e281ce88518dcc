"""`halage demo` leaves nothing behind, however it is ended."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.product import HALAGE, eventually


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path for temporary files: sockets lie below it, and the site's own user passes it."""
    directory = Path(tempfile.mkdtemp(prefix="hd-", dir="/tmp"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def processes_below(directory: Path) -> list[str]:
    """The command lines of the programs that were started with a path of the directory."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(each.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [each for each in found if str(directory) in each]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("number", "words", "code"),
    [(signal.SIGTERM, "It stays up", 0), (signal.SIGHUP, "preprod      succeeded", 1)],
    ids=["terminated while it stays up", "its terminal is closed while it is at work"],
)
def test_an_ended_demo_leaves_nothing_behind(
    directory: Path, number: signal.Signals, words: str, code: int
) -> None:
    said = directory / "said"
    with said.open("wb") as output:
        demo = subprocess.Popen(
            [HALAGE, "demo", "--template", "static"],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(directory)},
        )
    try:
        eventually(lambda: words in said.read_text() or demo.poll() is not None, words)
        assert words in said.read_text() and processes_below(directory), said.read_text()
        if code == 0:
            assert re.search(
                r"^dashboard +http://\S+/projects/boutique/environments/prod/graphs$", said.read_text(), re.M
            )
        demo.send_signal(number)
        assert demo.wait(60) == code, said.read_text()
    finally:
        if demo.poll() is None:
            demo.send_signal(signal.SIGINT)
            demo.wait(60)
    eventually(lambda: not processes_below(directory), "the end of what the demo had started")
    assert list(directory.iterdir()) == [said]
