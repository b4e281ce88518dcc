"""What can go wrong between Halage and the balancer."""

from halage.base.errors import HalageError, Invalid, NotFound, Unavailable


class BalancerDown(Unavailable):
    """The balancer does not answer: it is being started again."""


class BalancerRefused(HalageError):
    """The balancer refused a command."""


class NoSuchRoute(NotFound):
    """The balancer has no such route."""


class BadCertificate(Invalid):
    """The certificate cannot be used."""
