"""Routes about metrics: what is measured, asked and handed in."""

from halage.web.api.answers import closed_router

router = closed_router("metrics", prefix="/metrics", also=(404,))
