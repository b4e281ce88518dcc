"""Routes about dashboards."""

from halage.web.api.answers import closed_router

router = closed_router("dashboards", prefix="/dashboards", also=(404,))
