"""What can go wrong when someone wants in, or wants something."""

from halage.base.errors import Conflict, Invalid, NotAllowed, NotFound, Unavailable


class Forbidden(NotAllowed):
    """You are not allowed to do this. Facts: user, action, resource, needed."""


class BadCredential(NotAllowed):
    """The credential is not valid: sign in again, or use another token. The web door answers 401."""


class TooManyAttempts(Unavailable):
    """Too many failed attempts to sign in. Fact: retry_after_s. The web door answers 429."""


class NoSuchUser(NotFound):
    """There is no such user."""


class NoSuchToken(NotFound):
    """There is no such token, or it is not yours."""


class UserConflict(Conflict):
    """This cannot be done to this user now."""


class Unusable(Invalid):
    """This name, password or date cannot be used."""


class KeyUnusable(Unavailable):
    """The key file of the sites' secrets cannot be used."""
