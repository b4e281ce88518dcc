"""All pages of the console behind one router."""

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from halage.web.console.account import AccountPages
from halage.web.console.alarm_forms import AlarmFormPages
from halage.web.console.alarms import AlarmPages
from halage.web.console.certificates import CertificatePages
from halage.web.console.console import Console, add, page_router, see
from halage.web.console.dashboards import DashboardPages
from halage.web.console.environments import EnvironmentPages
from halage.web.console.events import EventPages
from halage.web.console.health import HealthPages
from halage.web.console.log_settings import LogSettingPages
from halage.web.console.logs import LogPages
from halage.web.console.making import MakingPages
from halage.web.console.members import MemberPages
from halage.web.console.metrics import MetricPages
from halage.web.console.projects import ProjectPages
from halage.web.console.rollouts import RolloutPages
from halage.web.console.runs import RunPages
from halage.web.console.scaling import ScalingPages
from halage.web.console.sessions import SessionPages
from halage.web.console.settings import SettingsPages
from halage.web.console.shell import ShellPages
from halage.web.console.users import UserPages
from halage.web.services import Services

_NOT_PAGES = ("/api/", "/git/", "/static/")


def console_router(services: Services) -> APIRouter:
    """The router of every page; include it last: it answers unknown addresses with a page."""
    console = Console(services)
    router = page_router(console)
    static = APIRouter(include_in_schema=False)
    static.add_api_route("/static/{digest}/{name:path}", console.assets.serve, methods=["GET"])
    router.include_router(static)
    for pages in (
        SessionPages(console),
        ProjectPages(console),
        RunPages(console),
        EnvironmentPages(console),
        RolloutPages(console),
        ScalingPages(console),
        HealthPages(console),
        SettingsPages(console),
        MakingPages(console),
        CertificatePages(console),
        ShellPages(console),
        MemberPages(console),
        AccountPages(console),
        UserPages(console),
        EventPages(console),
        LogPages(console),
        LogSettingPages(console),
        DashboardPages(console),
        MetricPages(console),
        AlarmFormPages(console),
        AlarmPages(console),
    ):
        pages.serve(router)
    add(router, "/", get=_home)
    add(router, "/{path:path}", get=_nothing_here)
    return router


async def _home() -> Response:
    return see("/projects")


async def _nothing_here(request: Request) -> Response:
    raise HTTPException(404)
