"""What the API answers about executions."""

import base64
from datetime import datetime

from pydantic import Field

from halage.compute.model import Stream
from halage.web.api.schemas import View


class OutputPiece(View):
    """Some bytes that a command wrote."""

    stream: Stream
    data: str = Field(description="The bytes, in base64.")


def output_piece(stream: Stream, data: bytes) -> OutputPiece:
    """As the API shows it."""
    return OutputPiece(stream=stream, data=base64.b64encode(data).decode())


class CommandExit(View):
    """How a command ended."""

    exit_code: int | None = Field(description="128 + N for signal N; null when it is not known.")
    reason: str = Field(description="Why it ended, where not by itself; else empty.")


class Execution(View):
    """A command or a shell that runs."""

    id: str = Field(examples=["x-3f9k2m"])
    command: str = Field(description="Its words without what is secret in them; `a shell` for one.")
    has_terminal: bool
    release_number: int
    instance: str | None = Field(description="The instance that it runs in; null: a fresh one.")
    started_at: datetime
    started_by: str
    limit_s: float = Field(description="Seconds after which it is ended.")
