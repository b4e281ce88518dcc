"""What can go wrong with environments."""

from halage.base.errors import Conflict, Invalid, NotFound


class NoSuchEnvironment(NotFound):
    """There is no such environment."""


class NoSuchRelease(NotFound):
    """There is no such release in this environment."""


class NoSuchDeployment(NotFound):
    """There is no such deployment."""


class NothingDeployed(Conflict):
    """Nothing has been deployed to this environment yet: push a commit first."""


class NothingToReturnTo(Conflict):
    """There is no earlier good release to return to."""


class DeploymentEnded(Conflict):
    """This deployment has ended already."""


class BadVariable(Invalid):
    """This is not a usable environment variable."""


class NoSuchVariable(NotFound):
    """There is no such variable in this environment."""
