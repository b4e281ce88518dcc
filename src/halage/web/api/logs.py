"""Routes about logs: searched, counted, followed, sent on."""

from halage.web.api.answers import closed_router

router = closed_router("logs", prefix="/logs", also=(404,))
