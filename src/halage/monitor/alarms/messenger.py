"""Sends messages by Apprise: mail, chat, telephones, by an address each.

Apprise's own log names addresses with what is secret in them, so it goes nowhere; what it says of one
failure is taken from it in the thread of that message, and shown with every part of the address masked.
"""

import logging
import re
import threading
from typing import Protocol

from halage.monitor.alarms.errors import BadAlarm, NotDelivered
from halage.monitor.alarms.message import Message

MOST_WORDS = 300
_SHORT = 3
"""Parts of an address that are shorter are no secrets, and masking them would mask half of every text."""
_log = logging.getLogger("apprise")


class Messenger(Protocol):
    """Sends a message to one address. Synchronous: it may take as long as the other side wants."""

    def check(self, address: str) -> str | None:
        """Why this is no usable address, in words without the address; None for a good one."""
        ...

    def send(self, address: str, message: Message) -> None:
        """Send it. Raises NotDelivered, which shows nothing of the address."""
        ...


class AppriseMessenger:
    """Apprise, loaded at the first use: it knows nearly 200 services, which takes a second."""

    def check(self, address: str) -> str | None:
        """Why this is no usable address, in words without the address; None for a good one."""
        with _Listening(address) as heard:
            if self._open(address) is not None:
                return None
        return heard.words() or "Apprise knows no such address"

    def send(self, address: str, message: Message) -> None:
        """Send it. Raises NotDelivered, which shows nothing of the address."""
        with _Listening(address) as heard:
            service = self._open(address)
            if service is None:
                raise NotDelivered(heard.words() or "Apprise knows no such address")
            try:
                is_sent = service.notify(title=message.title, body=message.body)
            except Exception as error:
                # `from None`: whatever a service raises may quote the address.
                raise NotDelivered(masked(f"{type(error).__name__}: {error}", address)) from None
        if not is_sent:
            raise NotDelivered(heard.words() or "the service did not take it")

    def _open(self, address: str) -> "_Service | None":
        import apprise  # slow to load, and most servers never need it

        service = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False, secure_logging=True))
        return service if service.add(address) else None


class _Service(Protocol):
    def notify(self, body: str, title: str) -> object: ...


def masked(text: str, address: str) -> str:
    """The text without anything of the address but its scheme."""
    scheme, _, rest = address.partition("://")
    parts = {part for part in re.split(r"[/:@?&=,#;\s]+", rest or scheme) if len(part) > _SHORT}
    for part in sorted({*parts, rest}, key=len, reverse=True):
        if part:
            text = text.replace(part, "***")
    return text[:MOST_WORDS]


def check_address(messenger: Messenger, address: str, where: str) -> None:
    """Return for a usable address. Raises BadAlarm, which does not show it."""
    problem = messenger.check(address)
    if problem is None:
        return
    allowed = "an address as Apprise knows them, such as mailto://user:password@example.org"
    raise BadAlarm(
        f"{where}: {problem}; allowed is {allowed}",
        errors=[{"location": where, "found": problem, "allowed": allowed}],
    )


class _Listening(logging.Handler):
    """Hears what Apprise says in this thread, while the `with` lasts."""

    def __init__(self, address: str) -> None:
        super().__init__(logging.WARNING)
        self._address = address
        self._thread = threading.get_ident()
        self._heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._heard.append(record.getMessage())

    def words(self) -> str:
        return masked("; ".join(dict.fromkeys(self._heard)), self._address)

    def __enter__(self) -> "_Listening":
        _log.propagate = False
        _log.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        _log.removeHandler(self)
