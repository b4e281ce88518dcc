"""The journal as a file: JSON lines, or CSV for a spreadsheet; streamed, so its length costs no memory."""

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import Any

from starlette.responses import StreamingResponse

from halage.base.journal import Entry
from halage.web.api import schemas


class ExportFormat(StrEnum):
    """How an export is written."""

    JSONL = "jsonl"
    CSV = "csv"


_MEDIA_TYPES = {ExportFormat.JSONL: "application/x-ndjson", ExportFormat.CSV: "text/csv"}
EXPORT_CONTENT: dict[str, Any] = {
    media_type: {"schema": {"type": "string"}} for media_type in _MEDIA_TYPES.values()
}
"""What an export answers with, for the OpenAPI document."""

COLUMNS = ("id", "at", "actor", "action", "subject", "project", "origin", "details", "before", "after")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection")."""


def export(format_: ExportFormat, pages: AsyncIterator[Sequence[Entry]]) -> StreamingResponse:
    """The answer that writes these entries."""
    lines = _csv(pages) if format_ is ExportFormat.CSV else _json_lines(pages)
    name = f"halage-events.{format_.value}"
    return StreamingResponse(
        lines,
        media_type=_MEDIA_TYPES[format_],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _json_lines(pages: AsyncIterator[Sequence[Entry]]) -> AsyncIterator[str]:
    async for entries in pages:
        yield "".join(f"{schemas.Entry.of(entry).model_dump_json()}\n" for entry in entries)


async def _csv(pages: AsyncIterator[Sequence[Entry]]) -> AsyncIterator[str]:
    yield _rows([COLUMNS])
    async for entries in pages:
        shown = (schemas.Entry.of(entry).model_dump(mode="json") for entry in entries)
        yield _rows([[cell(each[name]) for name in COLUMNS] for each in shown])


def _rows(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def cell(value: Any) -> str:
    """A value for a spreadsheet, which must not take it for a formula."""
    text = (
        json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict)
        else ""
        if value is None
        else str(value)
    )
    return f"'{text}" if text.startswith(_FORMULA) else text
