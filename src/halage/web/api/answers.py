"""What each route declares about its answers, so that the OpenAPI document is true."""

from collections.abc import Collection
from typing import Any

from fastapi import APIRouter

from halage.web.api.schemas import Problem
from halage.web.problems import MEDIA_TYPE, PROBLEM_TYPES
from halage.web.streams import MEDIA_TYPE as STREAM_MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

_SCHEMA = {"$ref": "#/components/schemas/Problem"}
_EVERYWHERE = (400, 413, 422, 500, 503)
_CLOSED = (401, 403)


def problems(*statuses: int) -> Responses:
    """The declaration of problem answers with these statuses."""
    titles = {type_.status: type_.title for type_ in PROBLEM_TYPES}
    return {
        status: {"description": titles[status], "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
        for status in statuses
    }


def stream(**events: str) -> Responses:
    """The declaration of a stream: the schema of each event's data by the event's name."""
    known = {**events, "problem": "Problem", "end": None}
    return {
        200: {
            "description": "Server-sent events. Reconnect with `Last-Event-ID` to miss nothing; the event "
            "`end` says that the stream is complete, `problem` that it cannot go on.",
            "content": {STREAM_MEDIA_TYPE: {"schema": {"oneOf": [_event(*each) for each in known.items()]}}},
        }
    }


def _event(name: str, schema: str | None) -> dict[str, Any]:
    data: dict[str, Any] = {"type": "string", "contentMediaType": "application/json"}
    if schema is not None:
        data["contentSchema"] = {"$ref": f"#/components/schemas/{schema}"}
    return {
        "type": "object",
        "title": f"{name} event",
        "required": ["event", "data"],
        "properties": {"event": {"const": name}, "id": {"type": "string"}, "data": data},
    }


def open_router(tag: str) -> APIRouter:
    """A router for what needs no authentication."""
    return APIRouter(tags=[tag], responses=problems(*_EVERYWHERE))


def closed_router(tag: str, *, prefix: str = "", also: Collection[int] = ()) -> APIRouter:
    """A router for what only signed-in callers get; `also` are further problems of its routes."""
    statuses = sorted({*_EVERYWHERE, *_CLOSED, *also})
    return APIRouter(prefix=prefix, tags=[tag], responses=problems(*statuses))


def problem_schema() -> dict[str, Any]:
    """The schema that every problem answer refers to."""
    return Problem.model_json_schema(mode="serialization")
