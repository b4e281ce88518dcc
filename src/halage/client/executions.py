"""The client's methods about commands that are run once in an environment."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from halage.client.connection import Connection, StreamEvent

Document = dict[str, Any]

if TYPE_CHECKING:
    from halage.client.shell import Shell


class ExecutionCalls(Connection):
    """Part of the client."""

    def list_executions(self, project: str, environment: str) -> list[Document]:
        """The commands and shells that run there now."""
        return list(self._ask("GET", f"{_environment(project, environment)}/executions"))

    def end_execution(self, project: str, environment: str, execution: str) -> Document:
        """End one of them."""
        path = f"{_environment(project, environment)}/executions/{quote(execution, safe='')}/end"
        return dict(self._ask("POST", path))

    def execute_command(
        self,
        project: str,
        environment: str,
        command: Sequence[str],
        *,
        input_: str = "",
        instance: str | None = None,
        limit_s: float | None = None,
    ) -> Iterator[StreamEvent]:
        """Run a command once: `output` for what it writes, then `exit`. It ends when this is left."""
        body = {"command": list(command), "input": input_, "instance": instance, "limit_s": limit_s}
        return self._follow_once(f"{_environment(project, environment)}/exec", body)

    def open_shell(
        self,
        project: str,
        environment: str,
        command: Sequence[str] = (),
        *,
        instance: str | None = None,
        terminal: dict[str, Any] | None = None,
        limit_s: float | None = None,
    ) -> "Shell":
        """A command to talk with; without words a shell. `terminal` has columns, rows and kind."""
        from halage.client.shell import Shell  # what it needs is needed nowhere else

        wish = {"command": list(command), "instance": instance, "terminal": terminal, "limit_s": limit_s}
        return Shell(self.url, f"{_environment(project, environment)}/shell", self._token, wish)


def _environment(project: str, environment: str) -> str:
    return f"/projects/{quote(project, safe='')}/environments/{quote(environment, safe='')}"
