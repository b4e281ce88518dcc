"""Where a change comes from: told by the door that lets it in, noted in the journal.

A door names itself, the address of who came, and the credential: `api 203.0.113.5 token ci`,
`console 127.0.0.1`, `git 127.0.0.1`. What Halage does of itself comes from `halage`.
"""

import contextlib
import contextvars
from collections.abc import Iterator

OWN = "halage"
LONGEST = 200

_origin: contextvars.ContextVar[str] = contextvars.ContextVar("halage_origin", default=OWN)


def current_origin() -> str:
    """Where the change that is made right now comes from."""
    return _origin.get()


@contextlib.contextmanager
def coming_from(origin: str) -> Iterator[None]:
    """What is done within comes from there, also in tasks that are started within."""
    token = _origin.set(origin[:LONGEST])
    try:
        yield
    finally:
        _origin.reset(token)


def own_context() -> contextvars.Context:
    """A context for what a request sets going but Halage does of itself: its controllers' turns."""
    context = contextvars.copy_context()
    context.run(_origin.set, OWN)
    return context
