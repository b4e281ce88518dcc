"""Routes about alarms: their state, their changes, their actions."""

from halage.web.api.answers import closed_router

router = closed_router("alarms", prefix="/alarms", also=(404,))
