"""What the control plane costs while nothing happens.

20 projects with three environments of two instances each are deployed by real pushes: 120 idle
instances behind HAProxy. Then the server's memory and processor time are read from /proc over
30 s. Then each project gets 50 branches in one push, every one with an approval of its own before
an environment of its own, so that 1,000 runs wait, and the same 30 s are measured again. The peer
of the second measurement is the first.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import harness
from parts.process import cpu_s, memory_mib

PROJECTS = 20
ENVIRONMENTS = ("dev", "preprod", "live")
INSTANCES = 2
BRANCHES = 50
MEASURE_S = 30.0
SETTLE_S = 10.0


def main() -> None:
    """Deploy, measure, park, measure again, and print the figures."""
    with harness.running_server() as server:
        names = [f"site-{number:02}" for number in range(PROJECTS)]
        with ThreadPoolExecutor(2) as pool:
            for name in pool.map(lambda name: _deploy(server, name), names):
                harness.say(f"{name} is deployed")
        instances = sum(_serving(server, name) for name in names)
        if instances != PROJECTS * len(ENVIRONMENTS) * INSTANCES:
            raise harness.Failure(f"only {instances} instances serve")
        idle_mib, idle_percent = _measure(server.process.pid)
        begin = time.monotonic()
        for name in names:
            _park(server, name)
        _wait_for_parked(server, names)
        harness.say(f"{PROJECTS * BRANCHES} runs are parked after {time.monotonic() - begin:.0f} s")
        parked_mib, parked_percent = _measure(server.process.pid)
    harness.report(
        rss_mib=idle_mib,
        cpu_percent=idle_percent,
        parked_cpu_percent=parked_percent - idle_percent,
        rss_with_parked_mib=parked_mib,
        cpu_with_parked_percent=parked_percent,
        instances=instances,
        parked_runs=PROJECTS * BRANCHES,
    )


def _configuration() -> str:
    lines = ['kind = "python"', "[run]", 'start = "python3 app.py"', "[test]", "commands = []"]
    lines += ["[flow]", f"main = {_listed(('test', *ENVIRONMENTS))}"]
    lines += [
        f'"park/{number}" = {_listed(("test", "approval", _gate(number)))}' for number in range(BRANCHES)
    ]
    for name in ENVIRONMENTS:
        lines += [f"[environments.{name}]", f"instances = {INSTANCES}", 'type = "nano"']
    for number in range(BRANCHES):
        lines += [f"[environments.{_gate(number)}]"]
    return "\n".join(lines) + "\n"


def _gate(number: int) -> str:
    return f"gate-{number}"


def _listed(words: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def _copy(server: harness.Server, name: str) -> Path:
    return server.directory / "copies" / name


def _deploy(server: harness.Server, name: str) -> str:
    server.call("POST", "projects", {"name": name})
    copy = harness.WorkingCopy(_copy(server, name))
    copy.commit({"app.py": harness.SITE.replace("VERSION", name), "halage.toml": _configuration()}, "First")
    copy.push(server.remote(name))
    server.wait_for_run(name, timeout_s=300)
    return name


def _serving(server: harness.Server, name: str) -> int:
    return sum(int(each["serving"]) for each in server.call("GET", f"projects/{name}/environments"))


def _park(server: harness.Server, name: str) -> None:
    copy = harness.WorkingCopy(_copy(server, name))
    refs = [f"HEAD:refs/heads/park/{number}" for number in range(BRANCHES)]
    copy.git("push", "-q", server.remote(name), *refs)


def _wait_for_parked(server: harness.Server, names: list[str], timeout_s: float = 1200.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        waiting = sum(_waiting(server, name) for name in names)
        if waiting == PROJECTS * BRANCHES:
            return
        harness.say(f"{waiting} runs are parked")
        time.sleep(5)
    raise harness.Failure(f"only {waiting} runs wait for an approval")


def _waiting(server: harness.Server, name: str) -> int:
    runs = server.call("GET", f"projects/{name}/runs?limit=100")
    return sum(1 for run in runs if run["state"] == "waiting")


def _measure(pid: int) -> tuple[float, float]:
    """Resident memory (MiB) and processor time (per cent of one core) over the next half minute."""
    time.sleep(SETTLE_S)
    begin, before_s = time.monotonic(), cpu_s(pid)
    time.sleep(MEASURE_S)
    busy_s = cpu_s(pid) - before_s
    return memory_mib(pid), 100 * busy_s / (time.monotonic() - begin)


if __name__ == "__main__":
    main()
