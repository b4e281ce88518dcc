"""What can go wrong with a dashboard."""

from halage.base.errors import Conflict, Invalid, NotFound


class NoSuchDashboard(NotFound):
    """There is no such dashboard, or you may not see it."""


class DashboardInvalid(Invalid):
    """This is not a dashboard that can be shown."""


class DashboardChanged(Conflict):
    """Somebody else changed the dashboard meanwhile. Facts: version, updated_by."""
