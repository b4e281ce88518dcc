"""Routes about the server itself: health, and the reference of problems."""

from starlette.responses import Response

import halage
from halage.web.api.answers import open_router
from halage.web.api.schemas import Health
from halage.web.problems import render_reference

router = open_router("server")


@router.get("/health", operation_id="show_health")
async def show_health() -> Health:
    """That the server answers. Needs no authentication."""
    return Health(status="ok", version=halage.__version__)


@router.get("/problems", include_in_schema=False)
async def show_problems() -> Response:
    """What the `type` of a problem document refers to."""
    return Response(render_reference(), media_type="text/markdown; charset=utf-8")
