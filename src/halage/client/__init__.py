"""The API's Python client."""

from halage.client.client import Client
from halage.client.connection import StreamEvent
from halage.client.errors import NotAHalageServer, ProblemError, ServerUnreachable

__all__ = ["Client", "NotAHalageServer", "ProblemError", "ServerUnreachable", "StreamEvent"]
