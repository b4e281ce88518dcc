"""What can go wrong with certificates that are kept."""

from halage.base.errors import NotFound


class NoSuchCertificate(NotFound):
    """There is no certificate for it."""
