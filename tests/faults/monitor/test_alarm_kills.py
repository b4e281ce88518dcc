"""The control plane is killed while alarms are evaluated: each change is recorded once and told."""

import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.monitor.alarm_evaluator import TICK_S, load_at
from tests.receiver import Receiver

ROOT = Path(__file__).parents[3]
KILLS = 50
BEGIN = 1_700_352_000


def _begin(directory: Path, url: str, told: Path, at: int, ticks: int) -> "subprocess.Popen[bytes]":
    words = ["-m", "tests.faults.monitor.alarm_evaluator", str(directory), url, str(at), str(ticks)]
    with told.open("wb") as output, told.with_name("log").open("wb") as log:
        return subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=output, stderr=log)


def _run_and_kill(process: "subprocess.Popen[bytes]", told: Path, seed: int) -> None:
    """Kill it at a random moment, counted from its first evaluated tick."""
    try:
        while b"+" not in told.read_bytes():
            assert process.poll() is None, told.with_name("log").read_text()
            time.sleep(0.005)
        time.sleep(random.Random(seed).uniform(0, 0.3))
    finally:
        process.kill()
        process.wait()


def _next_tick(told: Path) -> int:
    """The tick to go on with: the one that may not have been written, or the one after the last."""
    mark, at = told.read_text().split("\n")[-2].split()
    return int(at) + (TICK_S if mark == "+" else 0)


def _expected(end: int) -> list[tuple[float, str]]:
    """Each change that there must be: the end of its period, and what the alarm says then."""
    found: list[tuple[float, str]] = []
    for at in range(BEGIN, end, TICK_S):
        state = "ALARM" if load_at(at) > 5 else "OK"
        if not found or found[-1][1] != state:
            found.append((float(at + TICK_S), state))
    return found


@pytest.mark.timeout(600)
def test_50_kills_lose_no_change_of_an_alarm_and_tell_none_twice(tmp_path: Path) -> None:
    told, at = tmp_path / "told", BEGIN
    directory = tmp_path / "data"
    directory.mkdir()
    with Receiver() as receiver:
        url = receiver.url("hook")
        for kill in range(KILLS):
            _run_and_kill(_begin(directory, url, told, at, 0), told, kill)
            at = _next_tick(told)
        last = _begin(directory, url, told, at, 20)
        assert last.wait(timeout=120) == 0, told.with_name("log").read_text()
        end = _next_tick(told)
        expected = _expected(end)
        assert len(expected) > KILLS
        assert _changes(directory) == expected
        _check_told(receiver, expected)


def _changes(directory: Path) -> list[tuple[float, str]]:
    query = (
        "SELECT c.period_end, c.state FROM alarm_changes c JOIN alarms a ON a.id = c.alarm_id"
        " WHERE a.name = 'load' ORDER BY c.id"
    )
    with closing(sqlite3.connect(directory / "halage.db")) as database:
        return [(float(end), state) for end, state in database.execute(query)]


def _check_told(receiver: Receiver, expected: list[tuple[float, str]]) -> None:
    """Every change but the first (it was well from the start) arrived; again only under its old key."""
    keys = receiver.keys("hook")
    by_change = {body["change"]: body["state"] for body in receiver.bodies("hook")}
    assert len(keys) == len(by_change) == len(expected) - 1, "one key for each change"
    assert [state for _, state in sorted(by_change.items())] == [state for _, state in expected[1:]]
    again = {key: count for key, count in keys.items() if count > 1}
    print(f"{len(expected)} changes; {sum(again.values()) - len(again)} calls were cut off and made again")
    # Only what was under way at a kill is done again.
    assert sum(again.values()) - len(again) <= KILLS
