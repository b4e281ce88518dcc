"""Pages of an environment that show its changes as they come."""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import Request, Response

from halage.environment.tables.store import Place
from halage.web.console.console import Console
from halage.web.console.live import Page, at_each_change, live


async def follow_environment(
    console: Console,
    request: Request,
    place: Place,
    parts: Mapping[str, str],
    facts: Callable[[], Awaitable[dict[str, object]]],
    *,
    action: str = "environment:Show",
) -> Response:
    """Send parts of a page (templates, by the part's name) at each change. Raises as `visitor_of` does."""
    project, environment = place
    await console.visitor_at(request, project, environment, action)

    async def source(page: Page) -> None:
        async def look() -> None:
            known = await facts()
            await console.visitor(request)  # counts the alarms anew
            shown = {name: console.render(request, template, **known) for name, template in parts.items()}
            await page.show(**{"alarm-count": console.alarm_count(request, project, environment)}, **shown)

        await at_each_change(console.services.journal, project, look)

    return live(
        console.services,
        source,
        still_allowed=lambda: console.visitor_at(request, project, environment, action),
    )
