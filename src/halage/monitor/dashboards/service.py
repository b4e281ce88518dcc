"""Dashboards: what people ask of them."""

from collections.abc import Collection
from dataclasses import replace

from halage.base.database import Database
from halage.monitor.dashboards import store
from halage.monitor.dashboards.errors import NoSuchDashboard
from halage.monitor.dashboards.made import made_dashboard
from halage.monitor.dashboards.model import Dashboard, Layout
from halage.monitor.dashboards.rules import CheckExpression, check, place_of

_MAX_NUMBER = 2**53 - 1


class Dashboards:
    """The use cases of dashboards. It does not check who may ask: the doors do.

    An id is the number of a dashboard that people made, `machine`, or `PROJECT.ENVIRONMENT`. The
    latter two always have one: until somebody changes it, it is made anew each time it is shown
    (version 0). Whether there is such an environment is for the caller to know.
    """

    def __init__(self, database: Database, check_expression: CheckExpression) -> None:
        self._database = database
        self._check_expression = check_expression

    async def list(self, projects: Collection[str] | None) -> list[Dashboard]:
        """Those that people made or changed: of the server and of these projects (None: all), by name."""
        return await self._database.run(store.get_all, projects)

    async def show(self, id_: str) -> Dashboard:
        """One dashboard. Raises NoSuchDashboard."""
        if (place := place_of(id_)) is not None:
            stored = await self._database.run(store.get_of_place, place)
            return stored or made_dashboard(place)
        found = await self._database.run(store.get, int(id_)) if _is_number(id_) else None
        if found is None:
            raise NoSuchDashboard(f"There is no dashboard {id_}, or you may not see it.")
        return found

    async def create(self, project: str | None, layout: Layout, *, actor: str) -> Dashboard:
        """A new one, of a project or (None) of the server. Raises DashboardInvalid."""
        check(layout, self._check_expression)
        return await self._database.run(store.add, project, layout, actor, None)

    async def change(self, id_: str, layout: Layout, *, version: int, actor: str) -> Dashboard:
        """Replace its layout, if it still is at `version`: the one that was shown to who changed it.

        The first change of a made-by-itself one (version 0) stores it. Raises DashboardInvalid,
        NoSuchDashboard, DashboardChanged (nothing is lost: who came first is kept).
        """
        check(layout, self._check_expression)
        place = place_of(id_)
        if place is not None:
            layout = replace(layout, environment=place.environment)
        if place is not None and version == 0:
            return await self._database.run(store.add, place.project, layout, actor, place)
        if place is None and not _is_number(id_):
            raise NoSuchDashboard(f"There is no dashboard {id_}, or you may not see it.")
        await self._database.run(store.change, id_, place, layout, version, actor)
        return await self.show(id_)

    async def delete(self, id_: str, *, actor: str) -> None:
        """Delete it; an environment and the machine get their made-by-itself one back.

        Raises NoSuchDashboard, also for a made-by-itself one that nobody changed.
        """
        place = place_of(id_)
        if place is None and not _is_number(id_):
            raise NoSuchDashboard(f"There is no dashboard {id_}, or you may not see it.")
        await self._database.run(store.remove, id_, place, actor)

    async def forget_place(self, project: str, environment: str | None = None) -> None:
        """Delete those of a project that is deleted, or those that show an environment that is terminated."""
        await self._database.run(store.remove_of_place, project, environment)


def _is_number(id_: str) -> bool:
    return len(id_) <= 16 and id_.isascii() and id_.isdecimal() and 1 <= int(id_) <= _MAX_NUMBER
