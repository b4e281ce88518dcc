"""A stand-in for queries of metrics: waves that are the same at each look, over a real HTTP route."""

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.routing import Route

from halage.web.app import create_app
from halage.web.services import Services

_LEVELS: Mapping[str, tuple[float, float]] = {
    "response_time": (40, 15),
    "responses_2xx": (100, 30),
    "responses_3xx": (12, 5),
    "responses_4xx": (6, 4),
    "responses_5xx": (1.5, 1.5),
    "requests": (120, 35),
    "cpu": (45, 20),
    "memory_percent": (62, 4),
    "bytes": (3e6, 2e6),
    "disk_used": (71, 1),
    "in_flight": (5, 3),
    "queue": (1, 1),
    "wanted": (2, 0),
    "serving": (2, 0),
    "load": (0.8, 0.4),
}


Answer = Callable[[Request], Awaitable[Response]]


def app_with(services: Services, answer: Answer) -> FastAPI:
    """The application with this answer to queries of metrics."""
    app = create_app(services)
    app.router.routes.insert(0, Route("/api/v1/metrics/query", answer))
    return app


class Waves:
    """What is asked for, and whether there is an answer."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, str]] = []
        self.lift = 0.0
        """Added to every value: what is new is seen."""
        self.refusal: str | None = None

    async def answer(self, request: Request) -> Response:
        query = request.query_params
        self.asked.append(dict(query))
        if self.refusal is not None:
            problem = {"status": 422, "title": "", "type": "", "instance": "", "detail": self.refusal}
            return JSONResponse(problem, 422)
        expression = query["expression"]
        start, end = (datetime.fromisoformat(query[name]).timestamp() for name in ("from", "to"))
        period = int(query.get("period", 0)) or max(10, round((end - start) / 180 / 10) * 10)
        start -= start % period
        instances: Sequence[str] = ("prod-1", "prod-2") if "instance_" in expression else ("",)
        if many := re.search(r"many_(\d+)", expression):
            instances = [f"worker-{number:02d}" for number in range(int(many[1]))]
        return JSONResponse(
            {
                "period_s": period,
                "start": datetime.fromtimestamp(start, UTC).isoformat(),
                "lines": [
                    self._line(expression, instance, index, start, end, period)
                    for index, instance in enumerate(instances)
                ],
                "problems": [],
            }
        )

    def _line(
        self, expression: str, instance: str, index: int, start: float, end: float, period: int
    ) -> dict[str, Any]:
        level, swing = next((each for word, each in _LEVELS.items() if word in expression), (0.0, 0.0))
        if level == 0 and "nothing" not in expression:
            level, swing = 10.0, 5.0
        level *= {"p95": 3.0, "p99": 6.0}.get(expression[:3], 1.0)
        count = int((end - start) // period) + 1
        moments = [start + number * period for number in range(count)]
        values: list[float | None] = [
            round(
                level
                + swing * math.sin(at / 1800 + index)
                + swing / 4 * math.sin(at / 97 + index * 2)
                + self.lift,
                3,
            )
            for at in moments
        ]
        if "nothing" in expression:
            values = [None] * count
        if "seldom" in expression:
            values = [value if number % 6 == 0 else None for number, value in enumerate(values)]
        if "stopped" in expression:
            values = [*values[: count // 2], *[None] * (count - count // 2)]
        name = expression.split("(")[-1].split("{")[0].strip(")")
        dimensions = {"instance": instance} if instance else {}
        return {"label": instance or name, "dimensions": dimensions, "values": values}
