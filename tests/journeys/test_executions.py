"""Commands and shells in an environment, by the installed command line against the installed server."""

import contextlib
import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.product import HALAGE, PATIENCE_S, Product, WorkingCopy, eventually, run
from tests.sites import site, toml_of

PROD = ("shop", "prod")


@pytest.fixture(scope="module")
def shop(server: Product) -> Iterator[WorkingCopy]:
    copy = WorkingCopy(server, "shop")
    copy.deploy(site("first", toml=toml_of(instances=2)) | {"words.txt": "of the release\n"})
    server.client.set_variable(*PROD, "SESAME", "open-sesame-70", is_secret=True)
    server.halage("env", "restart", *PROD)
    yield copy
    server.client.delete_project("shop")


def halage(server: Product, *words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """A command of the CLI with its streams apart."""
    return subprocess.run(
        [HALAGE, *words],
        input=stdin,
        capture_output=True,
        env=_environment(server),
        cwd=server.directory,
        timeout=PATIENCE_S,
        check=False,
    )


def _environment(server: Product) -> dict[str, str]:
    return {**server.environment(), "HALAGE_URL": server.url, "HALAGE_TOKEN": server.token, "TERM": "xterm"}


def executions(server: Product) -> dict[str, int]:
    """Units of executions that live."""
    return {unit: pid for unit, pid in server.leaders().items() if unit.startswith("x-")}


def events(server: Product, action: str) -> list[dict[str, Any]]:
    return server.client.list_events(project="shop", action=action)


def test_exit_code_input_and_both_outputs_are_the_commands(server: Product, shop: WorkingCopy) -> None:
    script = "cat; cat words.txt; echo $HALAGE_RELEASE >&2; exit 42"
    done = halage(server, "env", "exec", *PROD, "--", "sh", "-c", script, stdin=b"in\x00put\xff\n")
    assert done.stdout == b"in\x00put\xff\nof the release\n"
    assert done.stderr == b"2\n"
    assert done.returncode == 42
    last = events(server, "environment:Executed")[-1]
    assert last["details"]["exit_code"] == 42
    assert executions(server) == {}


def test_a_command_that_there_is_not_and_one_that_is_refused(server: Product, shop: WorkingCopy) -> None:
    missing = halage(server, "env", "exec", *PROD, "--", "no-such-command")
    assert (missing.returncode, missing.stdout) == (127, b"")
    assert b"no-such-command" in missing.stderr
    nowhere = halage(server, "env", "exec", "shop", "nowhere", "--", "true")
    assert nowhere.returncode == 4
    assert b"no environment nowhere" in nowhere.stderr
    nobody = halage(server, "env", "exec", *PROD, "--instance", "i-0", "--", "true")
    assert (nobody.returncode, b"no instance i-0" in nobody.stderr) == (4, True)


def test_it_has_the_secrets_and_nobody_else_sees_them(server: Product, shop: WorkingCopy) -> None:
    script = "printenv SESAME; ps -eo args | grep -c '[o]pen-sesame-70'"
    done = halage(server, "env", "exec", *PROD, "--", "sh", "-c", script)
    assert done.stdout == b"open-sesame-70\n0\n"
    halage(server, "env", "exec", *PROD, "--", "echo", "open-sesame-70")
    told = events(server, "environment:Execute")[-1]
    assert told["details"]["command"] == "echo [secret]"
    assert told["actor"] == "admin"
    assert "open-sesame-70" not in server.log.read_text()


def test_much_output_into_a_reader_that_is_slow_and_much_input(server: Product, shop: WorkingCopy) -> None:
    megabytes = bytes(range(256)) * 16384
    done = halage(server, "env", "exec", *PROD, "--", "sh", "-c", "sleep 0.5; exec cat", stdin=megabytes)
    assert done.stdout == megabytes
    assert done.returncode == 0


def test_a_client_that_is_killed_takes_its_command_along(server: Product, shop: WorkingCopy) -> None:
    words = [HALAGE, "env", "exec", *PROD, "--", "sh", "-c", "echo begun; exec sleep 71.25"]
    # Its input stays full, so that it is not looked at any more.
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(server), cwd=server.directory
    ) as client:
        assert client.stdout is not None and client.stdin is not None
        assert client.stdout.readline() == b"begun\n"
        client.stdin.write(bytes(60_000))
        client.stdin.flush()
        assert len(executions(server)) == 1
        client.kill()
    eventually(lambda: not executions(server), "the command to be gone")
    reason = eventually(lambda: events(server, "environment:Executed")[-1]["details"]["reason"], "its end")
    assert reason == "its client went away"


def test_its_time_is_over(server: Product, shop: WorkingCopy) -> None:
    done = halage(server, "env", "exec", *PROD, "--limit", "0.5", "--", "sleep", "71.5")
    assert done.returncode == 143
    assert b"its time of 0.5 s was over" in done.stderr


def test_in_a_chosen_instance(server: Product, shop: WorkingCopy) -> None:
    chosen = server.client.show_environment(*PROD)["instances"][1]
    script = "echo $PORT; cat /proc/self/cgroup; touch here; pwd; echo $HOME"
    done = halage(server, "env", "exec", *PROD, "--instance", chosen["id"], "--", "sh", "-c", script)
    port, *groups, directory, home = done.stdout.decode().split("\n")[:-1]
    assert port == str(chosen["port"])
    assert home.endswith(f"/private/{chosen['id']}")
    assert directory.endswith("/releases/2")
    units = server.data / "units" / f"{chosen['id']}.1" / "unit.json"
    if '"cgroups": []' not in units.read_text():
        assert f"{chosen['id']}.1" in "\n".join(groups)
    assert server.client.show_environment(*PROD)["serving"] == 2


def test_the_api_runs_a_command_for_programs(server: Product, shop: WorkingCopy) -> None:
    told = list(server.client.execute_command(*PROD, ["sh", "-c", "cat; exit 3"], input_="hé"))
    assert [event.name for event in told] == ["output", "exit"]
    assert told[0].body == {"stream": "stdout", "data": "aMOp"}
    assert told[1].body == {"exit_code": 3, "reason": ""}


def test_who_leaves_the_api_ends_the_command(server: Product, shop: WorkingCopy) -> None:
    events_ = server.client.execute_command(*PROD, ["sh", "-c", "echo begun; exec sleep 71.75"])
    assert next(events_).name == "output"
    assert len(executions(server)) == 1
    events_.close()  # type: ignore[attr-defined]
    eventually(lambda: not executions(server), "the command to be gone")


class Terminal:
    """A person at a terminal of their own who runs a command of the CLI."""

    def __init__(self, server: Product, *words: str) -> None:
        self.pid, self.screen = pty.fork()
        if self.pid == 0:  # pragma: no cover - another process
            os.chdir(server.directory)
            os.execve(HALAGE, [HALAGE, *words], _environment(server))
        self.resize(100, 30)
        self.seen = b""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def until(self, text: str) -> str:
        """What was shown since the last call, up to this."""
        deadline = time.monotonic() + PATIENCE_S
        while text.encode() not in self.seen:
            ready, _, _ = select.select([self.screen], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"waited for {text!r}, saw {self.seen!r}"
            piece = os.read(self.screen, 65536)
            assert piece, f"it ended before {text!r}: {self.seen!r}"
            self.seen += piece
        shown, _, self.seen = self.seen.partition(text.encode())
        return shown.decode(errors="replace")

    def wait(self) -> int:
        """Its exit code."""
        with contextlib.suppress(OSError):
            while os.read(self.screen, 65536):
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_a_shell_on_a_terminal(server: Product, shop: WorkingCopy) -> None:
    person = Terminal(server, "env", "shell", *PROD)
    person.until("shop/prod v2 $ ")
    person.type("stty size; tty; echo $TERM; cat words.txt\r")
    shown = person.until("of the release")
    assert "30 100" in shown and "/dev/pts/" in shown and "xterm" in shown
    person.resize(77, 22)
    person.type("sleep 0.2; stty size\r")
    person.until("22 77")
    person.type("sleep 72.25\r")
    eventually(lambda: any("72.25" in line for line in _arguments(server)), "the command to run")
    person.type("\x03")
    person.until("shop/prod v2 $ ")
    person.type("exit 9\r")
    assert person.wait() == 9
    told = events(server, "environment:Execute")[-1]["details"]
    assert (told["command"], told["has_terminal"], told["instance"]) == ("a shell", True, None)
    eventually(lambda: not executions(server), "the shell to be gone")


def _arguments(server: Product) -> list[str]:
    found = []
    for pid in server.processes():
        with contextlib.suppress(OSError):
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
            found.append(arguments.replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_a_shell_is_cut_off_by_the_keys_for_that(server: Product, shop: WorkingCopy) -> None:
    person = Terminal(server, "env", "shell", *PROD)
    person.until("shop/prod v2 $ ")
    person.type("trap '' INT HUP; sleep 72.5\r")
    eventually(lambda: any("72.5" in line for line in _arguments(server)), "the command to run")
    person.type("\r~.")
    assert person.wait() == 128 + signal.SIGINT
    eventually(lambda: not executions(server), "the shell to be gone")
    assert not any("72.5" in line for line in _arguments(server))


def test_a_terminal_that_is_closed_ends_the_shell(server: Product, shop: WorkingCopy) -> None:
    person = Terminal(server, "env", "shell", *PROD)
    person.until("shop/prod v2 $ ")
    os.close(person.screen)
    os.waitpid(person.pid, 0)
    eventually(lambda: not executions(server), "the shell to be gone")


def test_a_viewer_may_not_and_a_stranger_sees_nothing(server: Product, shop: WorkingCopy) -> None:
    for name in ("vera", "stan"):
        server.client.add_user(name, password=f"{name}-password-1")
    server.client.set_member("shop", "vera", "viewer")
    for name, code, text in (
        ("vera", 3, b"it needs the role developer"),
        ("stan", 4, b"There is no project shop"),
    ):
        token = server.client.login(name, f"{name}-password-1")["token"]
        for words in (["exec", *PROD, "--", "true"], ["shell", *PROD]):
            done = subprocess.run(
                [HALAGE, "env", *words],
                env={**_environment(server), "HALAGE_TOKEN": token},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
            assert (done.returncode, text in done.stderr) == (code, True), done.stderr


@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("phpunit") is None, reason="PHP with Laravel and PHPUnit is not installed")
def test_artisan_of_the_real_framework(server: Product) -> None:
    laravel = ("boutique", "dev")
    assert server.halage("project", "create", "boutique", "--template", "laravel").code == 0
    pushed = run(["git", "push", "-o", "wait"], server.directory / "boutique", server.environment())
    assert "dev done" in pushed.text, pushed.text
    status = halage(server, "env", "exec", *laravel, "--", "php", "artisan", "migrate:status")
    assert status.returncode == 0, status.stderr
    assert b"Ran" in status.stdout and b"Pending" not in status.stdout
    stage = halage(server, "env", "exec", *laravel, "--", "php", "artisan", "env")
    assert stage.stdout.strip().endswith((b"dev", b"[dev]."))
    unknown = halage(server, "env", "exec", *laravel, "--", "php", "artisan", "no:such")
    assert unknown.returncode == 1
    assert b'"no:such" is not defined' in unknown.stdout + unknown.stderr
    person = Terminal(server, "env", "shell", *laravel)
    person.until("boutique/dev v1 $ ")
    person.type("php artisan --version; exit\r")
    person.until("Laravel Framework")
    assert person.wait() == 0
    server.client.delete_project("boutique")


def test_a_server_that_stops_ends_them_and_one_that_is_cut_off_leaves_them_to_the_next(
    server: Product, shop: WorkingCopy
) -> None:
    words = [HALAGE, "env", "exec", *PROD, "--", "sh", "-c", "trap '' PIPE HUP; echo begun; exec sleep 73.25"]
    for end in (server.stop, server.kill):
        with subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(server),
            cwd=server.directory,
        ) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == b"begun\n"
            end()
            _, errors = client.communicate(timeout=PATIENCE_S)
            assert client.returncode != 0
            print(errors.decode())
        server.start()
        eventually(lambda: not executions(server), "the command to be gone")
    reasons = [event["details"]["reason"] for event in events(server, "environment:Executed")[-2:]]
    assert reasons == ["the server stopped", "the server was cut off"]
    assert server.client.show_environment(*PROD)["serving"] == 2


def test_what_runs_is_listed_and_ended_by_another_and_the_terminal_is_as_before(
    server: Product, shop: WorkingCopy
) -> None:
    person = Terminal(server, "env", "exec", *PROD, "--terminal", "--", "sh", "-c", DRAWS)
    person.until("drawn")
    (listed,) = server.client.list_executions(*PROD)
    assert (listed["started_by"], listed["has_terminal"]) == ("admin", True)
    shown = halage(server, "env", "execution", "list", *PROD).stdout.decode()
    assert listed["id"] in shown and "fresh instance" in shown and "admin" in shown
    nobody = halage(server, "env", "execution", "end", *PROD, "x-0")
    assert (nobody.returncode, b"no execution x-0 that runs" in nobody.stderr) == (4, True)
    ended = halage(server, "env", "execution", "end", *PROD, listed["id"])
    assert (ended.returncode, b"of admin in shop prod" in ended.stdout) == (0, True)
    assert "\x1b[?25h\x1b[?1049l" in person.until("It was ended: admin ended it.")
    assert person.wait() != 0
    assert halage(server, "env", "execution", "list", *PROD).stdout == b""


DRAWS = "printf '\\033[?1049h\\033[?25ldrawn'; exec sleep 73.5"


def test_a_client_that_is_told_to_end_leaves_the_terminal_as_it_was(
    server: Product, shop: WorkingCopy
) -> None:
    person = Terminal(server, "env", "exec", *PROD, "--terminal", "--", "sh", "-c", DRAWS)
    before = termios.tcgetattr(person.screen)[3]
    person.until("drawn")
    assert not termios.tcgetattr(person.screen)[3] & termios.ICANON
    os.kill(person.pid, signal.SIGTERM)
    person.until("\x1b[?25h\x1b[?1049l")
    eventually(lambda: termios.tcgetattr(person.screen)[3] == before, "the terminal to be as before")
    assert person.wait() == 128 + signal.SIGTERM
    eventually(lambda: not executions(server), "the command to be gone")
