"""What the API takes about executions: a command or a shell, its terminal, its input."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from halage.compute.model import TerminalSize
from halage.environment.model import ExecutionWish
from halage.web.api.requests import _TEXT, RequestBody, is_number

Word = Annotated[str, Field(max_length=131072, pattern=_TEXT)]
Side = Annotated[int, Field(ge=1, le=1000), BeforeValidator(is_number)]
InstanceId = Annotated[str, Field(pattern=r"^i-[a-z0-9]{1,37}$")]
LimitS = Annotated[float, Field(gt=0, le=31536000), BeforeValidator(is_number)]

_WHERE = "The instance to run in; null: a fresh one of the running release, which gets no requests."
_LIMIT = "Seconds after which it is ended; null: the server's limit, which is the longest."


class ExecutionWanted(RequestBody):
    """A command to run once, without a terminal."""

    command: list[Word] = Field(min_length=1, max_length=1000, description="Its words; no shell reads them.")
    input: str = Field(default="", max_length=524288, description="Its whole input.")
    instance: InstanceId | None = Field(default=None, description=_WHERE)
    limit_s: LimitS | None = Field(default=None, description=_LIMIT)

    def wish(self) -> ExecutionWish:
        """As the domain takes it."""
        return ExecutionWish(tuple(self.command), self.instance, limit_s=self.limit_s)


class TerminalWanted(RequestBody):
    """A terminal."""

    columns: Side = 80
    rows: Side = 24
    kind: str = Field(default="xterm-256color", pattern=r"^[A-Za-z0-9._+-]{1,64}$")


class ShellWanted(RequestBody):
    """The first message of a client: a command, or without words a shell; a terminal for it, or none."""

    command: list[Word] = Field(default_factory=list, max_length=1000)
    instance: InstanceId | None = None
    terminal: TerminalWanted | None = None
    limit_s: LimitS | None = None

    def wish(self) -> ExecutionWish:
        """As the domain takes it."""
        wish = ExecutionWish(tuple(self.command), self.instance, limit_s=self.limit_s)
        if self.terminal is None:
            return wish
        size = TerminalSize(self.terminal.columns, self.terminal.rows)
        return ExecutionWish(wish.command, wish.instance, size, self.terminal.kind, wish.limit_s)


class Said(RequestBody):
    """What a client says later on, beside input: that there is no more of it, or another size."""

    event: Literal["end_input", "resize"]
    columns: Side = 80
    rows: Side = 24
