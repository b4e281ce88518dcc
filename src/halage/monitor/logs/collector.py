"""Lines to an HTTP collector: JSON lines in the body of a POST, delivered once it answers 2xx."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx

from halage.monitor.logs.errors import NotDelivered
from halage.monitor.logs.model import KeptLine

TIMEOUT_S = 10.0
MEDIA_TYPE = "application/x-ndjson"


def moment_of(line: KeptLine) -> str:
    """When it was written, in UTC, as ISO 8601 and RFC 3339 have it."""
    return datetime.fromtimestamp(line.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def document_of(line: KeptLine) -> dict[str, Any]:
    """One line as JSON: `id` is the same when a line is sent again."""
    return {
        "id": line.id,
        "at": moment_of(line),
        "group": line.group,
        "stream": line.stream,
        "text": line.words,
    }


def json_lines(lines: Sequence[KeptLine]) -> bytes:
    """Lines as JSON, one document a line."""
    return b"".join(json.dumps(document_of(line), ensure_ascii=False).encode() + b"\n" for line in lines)


class HttpChannel:
    """Posts lines to one address. Redirects are not followed: the headers may hold a secret."""

    def __init__(self, url: str, headers: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._client = httpx.AsyncClient(headers={**headers, "Content-Type": MEDIA_TYPE}, timeout=timeout_s)

    async def send(self, lines: Sequence[KeptLine]) -> None:
        """Send lines. Raises NotDelivered unless the answer is 2xx."""
        try:
            async with self._client.stream("POST", self._url, content=json_lines(lines)) as response:
                status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise NotDelivered(f"it did not answer: {str(error) or type(error).__name__}") from error
        if not 200 <= status < 300:
            raise NotDelivered(f"it answered {status}", status=status)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()
