"""From `git push` to the first answer of the new version, beside a bare script that does the minimum.

A small Python site without a build, one instance, 20 pushes over HTTP; a visitor asks the balancer
every 2 ms. The floor is what can be done by hand with the same programs: a bare repository whose
post-receive hook checks out, starts the new server, probes it and switches HAProxy by its socket.

Halage's own part is the whole without git's transfer and without the site's boot, both measured
around each push: the same commit pushed into a bare repository on the same disk that has no hook,
and the same site started by hand until it answers. What git's HTTP costs over that of a file path
(authentication, three requests, git's own HTTP client) is counted as Halage's.
"""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import harness

PUSHES = 20

CONFIGURATION = """\
kind = "python"

[run]
start = "python3 app.py"

[test]
commands = []

[flow]
main = ["test", "live"]

[environments.live]
instances = 1
"""

HOOK = """\
#!/bin/bash
set -eu
cd ROOT
new=site-$EPOCHREALTIME
mkdir $new
git --git-dir=ROOT/floor.git --work-tree=$new checkout -q -f main
side=$([ -e side-a ] && echo b || echo a)
port=$([ $side = a ] && echo PORT_A || echo PORT_B)
cd $new
HOST=127.0.0.1 PORT=$port setsid python3 app.py >/dev/null 2>&1 </dev/null &
started=$!
cd ..
until { exec 4<>/dev/tcp/127.0.0.1/$port; } 2>/dev/null; do sleep 0.005; done
printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&4
read -r answer <&4
case $answer in *200*) ;; *) exit 1 ;; esac
other=$([ $side = a ] && echo b || echo a)
exec 5<>/dev/tcp/127.0.0.1/CONTROL
echo "set server site/$side state ready; set server site/$other state maint" >&5
read -r answer <&5 || true
[ ! -e side-$other ] || { kill "$(cat side-$other)"; rm side-$other; }
echo $started >side-$side
"""

BALANCER = """\
global
    stats socket ipv4@127.0.0.1:CONTROL level admin
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
frontend visitors
    bind 127.0.0.1:VISITORS
    default_backend site
backend site
    server a 127.0.0.1:PORT_A disabled
    server b 127.0.0.1:PORT_B disabled
"""


def main() -> None:
    """Measure both ways, push by push in turn, and print the figures."""
    with (
        tempfile.TemporaryDirectory(prefix="halage-floor-") as name,
        harness.running_server() as server,
        _floor(Path(name)) as floor_visitors,
    ):
        root = Path(name)
        copy = harness.WorkingCopy(root / "copy")
        copy.git("init", "-q", "--bare", "-b", "main", str(root / "transfer.git"))
        server.call("POST", "projects", {"name": "site"})
        visitor = harness.Visitor(server.visitors_port, "live.site.localhost")
        floor_visitor = harness.Visitor(floor_visitors, "site")
        totals, floors, transfers, boots = [], [], [], []
        for number in range(PUSHES + 1):
            version = f"version {number}"
            files = {"app.py": harness.SITE.replace("VERSION", version), "halage.toml": CONFIGURATION}
            copy.commit(files, version)
            transfers.append(_transfer_s(copy, root / "transfer.git"))
            boots.append(_boot_s(copy.directory, version))
            totals.append(_push_s(copy, server.remote("site"), visitor, version))
            server.wait_for_run("site")
            floors.append(_push_s(copy, str(root / "floor.git"), floor_visitor, version))
            harness.say(f"push {number}: {totals[-1] * 1000:.0f} ms, floor {floors[-1] * 1000:.0f} ms")
    # The first push makes the environment: it is another job, and not the one that is asked for.
    own = [whole - transfer - boot for whole, transfer, boot in zip(totals, transfers, boots, strict=True)]
    harness.report(
        push_to_live_p50_ms=harness.median(totals[1:]) * 1000,
        own_part_p50_ms=harness.median(own[1:]) * 1000,
        floor_p50_ms=harness.median(floors[1:]) * 1000,
        transfer_p50_ms=harness.median(transfers[1:]) * 1000,
        boot_p50_ms=harness.median(boots[1:]) * 1000,
        push_to_live_max_ms=max(totals[1:]) * 1000,
        pushes=PUSHES,
    )


def _push_s(copy: harness.WorkingCopy, remote: str, visitor: harness.Visitor, version: str) -> float:
    begin = time.monotonic()
    push = copy.start_push(remote)
    try:
        end = visitor.wait_for(version)
    finally:
        push.wait(30)
    return end - begin


def _transfer_s(copy: harness.WorkingCopy, repository: Path) -> float:
    begin = time.monotonic()
    copy.push(str(repository))
    return time.monotonic() - begin


def _boot_s(directory: Path, version: str) -> float:
    port = harness.free_port()
    environment = {**os.environ, "HOST": "127.0.0.1", "PORT": str(port)}
    begin = time.monotonic()
    site = subprocess.Popen(["python3", "app.py"], cwd=directory, env=environment)
    try:
        return harness.Visitor(port, "site").wait_for(version) - begin
    finally:
        site.kill()
        site.wait()


@contextlib.contextmanager
def _floor(root: Path) -> Iterator[int]:
    """The port of the floor's own HAProxy; `root/floor.git` is where to push."""
    visitors = harness.free_port()
    words = {
        "ROOT": str(root),
        "PORT_A": str(harness.free_port()),
        "PORT_B": str(harness.free_port()),
        "CONTROL": str(harness.free_port()),
        "VISITORS": str(visitors),
    }
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(root / "floor.git")], check=True)
    hook = root / "floor.git" / "hooks" / "post-receive"
    hook.write_text(_filled(HOOK, words))
    hook.chmod(0o755)
    (root / "haproxy.cfg").write_text(_filled(BALANCER, words))
    balancer = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(root / "haproxy.cfg")])
    try:
        yield visitors
    finally:
        balancer.terminate()
        balancer.wait()
        for side in root.glob("side-*"):
            os.kill(int(side.read_text()), 9)


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


if __name__ == "__main__":
    main()
