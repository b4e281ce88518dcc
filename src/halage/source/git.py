"""Git commands of this machine, run in an environment that holds nothing but what Halage says."""

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from halage.base.database import StorageFull
from halage.base.files import write_atomically
from halage.source.errors import GitFailed, RepositoryMissing
from halage.source.model import DEFAULT_BRANCH

COMMAND_TIMEOUT_S = 60.0

# One file for all repositories, written at each start: an upgrade of Halage changes it here and
# nowhere else. `safe` is honoured in such a file by every version of git, on the command line not.
# Objects and refs are flushed to the disk, because a push that was taken is never lost. Three fsck
# messages are ignored because old but harmless histories have them and could not be pushed.
_CONFIG = """\
[safe]
\tdirectory = *
[init]
\tdefaultBranch = {branch}
[core]
\thooksPath = {hooks}
\tfsync = committed,reference
\tbigFileThreshold = 16m
[gc]
\tauto = 0
[receive]
\tadvertisePushOptions = true
\tautogc = false
\tdenyDeleteCurrent = refuse
\tfsckObjects = true
[receive "fsck"]
\tzeroPaddedFilemode = ignore
\tmissingSpaceBeforeDate = ignore
\tbadTimezone = ignore
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = false
[http]
\treceivepack = true
\tgetanyfile = false
[pack]
\twindowMemory = 64m
[tar]
\tumask = 0022
"""


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git in one of the repositories of `directory`; `home` holds its configuration."""

    directory: Path
    home: Path

    @property
    def hooks(self) -> Path:
        """The directory of the hooks that all repositories share."""
        return self.home / "hooks"

    def prepare(self, hooks: dict[str, str]) -> None:
        """Write the configuration and the hooks; idempotent."""
        for directory in (self.directory, self.home, self.hooks, self.home / "empty"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = _CONFIG.format(branch=DEFAULT_BRANCH, hooks=_quoted(self.hooks))
        write_atomically(self.home / "config", config, mode=0o600)
        for name, text in hooks.items():
            write_atomically(self.hooks / name, text, mode=0o700)

    def repository(self, project: str) -> Path:
        """Where the project's repository is. Raises RepositoryMissing."""
        path = self.directory / f"{project}.git"
        if not path.is_dir():
            raise RepositoryMissing(f"There is no repository of a project {project}.", project=project)
        return path

    def environment(self) -> dict[str, str]:
        """The whole environment of a git command: nothing comes from the server's own but PATH."""
        return {
            "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
            "HOME": str(self.home / "empty"),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self.home / "config"),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }

    async def run(self, repository: Path, *arguments: str) -> bytes:
        """What the command prints. Raises GitFailed with what it complained of, or StorageFull."""
        process = await self.start(repository, *arguments)
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                output, complaint = await process.communicate()
        except TimeoutError as error:
            raise GitFailed(f"git {arguments[0]} took longer than {COMMAND_TIMEOUT_S:.0f} s.") from error
        finally:
            await end_process(process)
        if process.returncode:
            raise git_failure(arguments[0], process.returncode, complaint)
        return output

    async def start(
        self,
        repository: Path,
        *arguments: str,
        # No pipe unless it is used: a process that has ended already would break it.
        stdin: int = asyncio.subprocess.DEVNULL,
        stdout: int = asyncio.subprocess.PIPE,
    ) -> asyncio.subprocess.Process:
        """Start a command; end it with `end_process`."""
        return await asyncio.create_subprocess_exec(
            "git",
            f"--git-dir={repository}",
            *arguments,
            stdin=stdin,
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment(),
            cwd=self.home,
            start_new_session=True,
        )


async def end_process(process: asyncio.subprocess.Process) -> None:
    """Kill the process and its children when it still runs, and wait for it; idempotent."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def git_failure(command: str, code: int, complaint: bytes) -> GitFailed | StorageFull:
    """The error that tells what a failed command complained of."""
    text = complaint.decode(errors="replace").strip()
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return StorageFull()
    return GitFailed(f"git {command} failed with code {code}: {text[-2000:] or 'it said nothing'}", code=code)


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
