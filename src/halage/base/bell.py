"""Bells: someone waits for news of a key, someone else rings."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Bell(Generic[K]):
    """Wakes those who listen to a key. A ring with no listener costs a dictionary look-up."""

    def __init__(self) -> None:
        self._listeners: defaultdict[K, set[asyncio.Event]] = defaultdict(set)

    def ring(self, key: K) -> None:
        """Tell the listeners of `key` to look again."""
        for event in self._listeners.get(key, ()):
            event.set()

    def ring_all(self) -> None:
        """Tell every listener to look again: the service ends."""
        for key in tuple(self._listeners):
            self.ring(key)

    @contextlib.contextmanager
    def listen(self, key: K) -> Iterator[asyncio.Event]:
        """An event that is set at each ring; the listener clears it, then looks, then waits."""
        event = asyncio.Event()
        self._listeners[key].add(event)
        try:
            yield event
        finally:
            self._listeners[key].discard(event)
            if not self._listeners[key]:
                del self._listeners[key]
