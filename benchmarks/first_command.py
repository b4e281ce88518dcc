"""From the start of post-receive to the start of the build's first command, on an idle server.

Both ends write down the same clock. Halage's hook is put behind a shell that notes the moment
and becomes the hook at once (`$EPOCHREALTIME` is bash's own, no process is started for it); the
build's first command is `date`, whose own start is counted. The next push comes when the run of
the last one has ended. Beside it, in the same run, a bare post-receive hook that checks the commit
out and runs `date` itself.
"""

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import harness

PUSHES = 120
QUIET_S = 0.5

CONFIGURATION = """\
kind = "python"

[build]
commands = ["date +first-command:%s.%N"]

[test]
commands = []

[run]
start = "python3 app.py"

[flow]
main = ["test"]
"""

STAMP = """\
#!/bin/bash
echo "$EPOCHREALTIME" >>STAMPS
exec "$0.halage" "$@"
"""

BARE_HOOK = """\
#!/bin/bash
echo "$EPOCHREALTIME" >>STAMPS
mkdir ROOT/work-$EPOCHREALTIME && cd ROOT/work-*
git --work-tree=. checkout -q -f main
sh -c 'date +%s.%N' >>ROOT/first
rm -rf ROOT/work-*
"""


def main() -> None:
    """Push 120 times both ways, and print the figures."""
    with tempfile.TemporaryDirectory(prefix="halage-first-") as name, harness.running_server() as server:
        root = Path(name)
        root.chmod(0o711)
        server.call("POST", "projects", {"name": "site"})
        stamps = _stamp_hook(server, root)
        bare = _bare_repository(root)
        copy = harness.WorkingCopy(root / "copy")
        delays = []
        for number in range(PUSHES):
            copy.commit(
                {"app.py": harness.SITE.replace("VERSION", str(number)), "halage.toml": CONFIGURATION},
                f"push {number}",
            )
            copy.push(server.remote("site"))
            time.sleep(QUIET_S)  # asking how far the run is would be work for a server that shall be idle
            run = server.wait_for_run("site")
            delays.append(_first_command_at(server, run) - float(stamps.read_text().split()[-1]))
            copy.push(str(bare))
            if number % 20 == 0:
                harness.say(f"push {number}: {delays[-1] * 1000:.1f} ms")
        bare_delays = _bare_delays(root)
    # The first push finds nothing warm, as after a restart; it is not the idle server asked for.
    harness.report(
        first_command_p50_ms=harness.median(delays[1:]) * 1000,
        first_command_p99_ms=harness.percentile(delays[1:], 0.99) * 1000,
        bare_hook_p50_ms=harness.median(bare_delays[1:]) * 1000,
        bare_hook_p99_ms=harness.percentile(bare_delays[1:], 0.99) * 1000,
        first_push_ms=delays[0] * 1000,
        pushes=PUSHES,
    )


def _stamp_hook(server: harness.Server, root: Path) -> Path:
    stamps = root / "stamps"
    hook = next((server.directory / "data").rglob("hooks/post-receive"))
    hook.rename(hook.with_name("post-receive.halage"))
    hook.write_text(STAMP.replace("STAMPS", str(stamps)))
    hook.chmod(0o755)
    return stamps


def _bare_repository(root: Path) -> Path:
    repository = root / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], check=True)
    hook = repository / "hooks" / "post-receive"
    hook.write_text(BARE_HOOK.replace("STAMPS", str(root / "bare-stamps")).replace("ROOT", str(root)))
    hook.chmod(0o755)
    return repository


def _first_command_at(server: harness.Server, run: dict[str, Any]) -> float:
    jobs = [stage["job_id"] for stage in run["stages"] if stage["job_id"] is not None]
    for line in server.call("GET", f"jobs/{jobs[0]}/console"):
        if line["text"].startswith("first-command:"):
            return float(line["text"].removeprefix("first-command:"))
    raise harness.Failure(f"run {run['id']}: the command's line is not in the console of job {jobs[0]}")


def _bare_delays(root: Path) -> list[float]:
    starts = (root / "bare-stamps").read_text().split()
    firsts = (root / "first").read_text().split()
    return [float(first) - float(start) for start, first in zip(starts, firsts, strict=True)]


if __name__ == "__main__":
    main()
