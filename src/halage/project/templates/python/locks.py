"""The locks of the canal, and when they open."""

from datetime import datetime

LOCKS = (("Saint-Martin", 3.1), ("La Villette", 5.4), ("Les Récollets", 4.2))
"""Name and rise in metres."""

CYCLE_MINUTES = 20
STATES = ("Open upstream", "Filling", "Open downstream", "Emptying")


def state_of(name: str, now: datetime) -> str:
    """What the lock does at a moment: four states in a cycle, each lock a little after the one before.

    Raises ValueError for a lock that is not on this canal.
    """
    names = [known for known, _ in LOCKS]
    if name not in names:
        raise ValueError(f"there is no lock {name!r}")
    minute = now.hour * 60 + now.minute + 5 * names.index(name)
    return STATES[minute % CYCLE_MINUTES * len(STATES) // CYCLE_MINUTES]
