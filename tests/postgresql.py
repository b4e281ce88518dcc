"""A real PostgreSQL server for tests, with as many empty databases as they ask for."""

import itertools
import shutil
import subprocess
from pathlib import Path

import pytest


class PostgreSQL:
    """A server of its own in a directory, run by an unprivileged account (it refuses root)."""

    def __init__(self, directory: Path, port: int) -> None:
        binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not binaries:
            pytest.fail("PostgreSQL is not installed: apt-get install postgresql")
        self._bin, self._directory, self._port = binaries[-1], directory, port
        self._numbers = itertools.count(1)
        for path in (directory, *directory.parents[:3]):
            path.chmod(0o755)
        shutil.chown(directory, "postgres")
        self._run("initdb", "-D", f"{directory}/data", "-A", "trust", "--no-sync")
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={directory} -c fsync=off"
        )
        self._run("pg_ctl", "-D", f"{directory}/data", "-o", options, "-w", "-l", f"{directory}/log", "start")

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"halage{next(self._numbers)}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), name)
        return f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/{name}"

    def stop(self) -> None:
        """End it at once."""
        self._run("pg_ctl", "-D", f"{self._directory}/data", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(
            command,
            user="postgres",
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode != 0:
            log = self._directory / "log"
            said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            pytest.fail(f"{program} ended with {done.returncode}: {done.stderr}\n{said}")
