"""Exit codes, the same for every command, and which error ends in which."""

from halage.base.errors import HalageError, Invalid, NotAllowed, NotFound

DONE = 0
FAILED = 1
USAGE = 2
NOT_ALLOWED = 3
NOT_FOUND = 4

_BY_STATUS = {
    400: USAGE,
    401: NOT_ALLOWED,
    403: NOT_ALLOWED,
    404: NOT_FOUND,
    422: USAGE,
}
_BY_CATEGORY = ((Invalid, USAGE), (NotAllowed, NOT_ALLOWED), (NotFound, NOT_FOUND))


class Failed(HalageError):
    """What was asked for ended in a failure."""


def exit_code_of(error: HalageError) -> int:
    """The exit code for an error: by the server's status where it comes from there."""
    status = error.facts.get("status")
    if isinstance(status, int):
        return _BY_STATUS.get(status, FAILED)
    return next((code for category, code in _BY_CATEGORY if isinstance(error, category)), FAILED)
