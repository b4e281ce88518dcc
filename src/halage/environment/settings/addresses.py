"""Addresses of notifications that were set on the server: sealed for the database, masked for people."""

from collections.abc import Callable, Iterable
from typing import Any

from halage.base.errors import Invalid
from halage.environment.configuration import Sealer
from halage.monitor.alarms.sealing import MASK, shown_form

PATH = "notifications"
_SEALED = "sealed:"
OF_THE_FILE = "toml"
"""The mark of an address that halage.toml holds, in what is shown of it."""


def shown_address(address: str) -> str:
    """What may be shown: of a sealed or plain address its masked form, of `$NAME` itself."""
    if address.startswith("$"):
        return address
    if address.startswith(_SEALED):
        return address.removeprefix(_SEALED).partition("|")[0]
    return shown_form(address, OF_THE_FILE)


def opened_address(address: str, sealer: Sealer) -> str:
    """The address itself."""
    return sealer.open(address.partition("|")[2]) if address.startswith(_SEALED) else address


def shown_value(path: str, value: Any) -> Any:
    """A setting's value as it may be shown."""
    return _each(value, shown_address) if path == PATH else value


def sealed_value(path: str, value: Any, before: Any, sealer: Sealer) -> Any:
    """A setting's value as it is kept: addresses sealed. What is shown of one that is kept stands for it.

    `before`: what the setting is now. Raises Invalid for a masked address that stands for nothing.
    """
    if path != PATH:
        return value
    kept = {shown_address(each): each for each in _addresses(before)}

    def seal(address: str) -> str:
        if address in kept:
            return kept[address]
        if f"{MASK}#" in address or f"{MASK}@" in address or address.startswith(_SEALED):
            raise Invalid(
                f"{PATH}: found {address}, which stands for no address that this environment has. "
                "Allowed: a new address, or exactly what is shown of one that it has."
            )
        is_plain = address.startswith("$") or "://" not in address
        return address if is_plain else f"{_SEALED}{shown_form(address)}|{sealer.seal(address)}"

    return _each(value, seal)


def _addresses(value: Any) -> Iterable[str]:
    found: list[str] = []
    _each(value, lambda address: found.append(address) or address)  # type: ignore[func-returns-value]
    return found


def _each(value: Any, work: Callable[[str], str]) -> Any:
    """The value with each address changed; what is no list of notifications stays as it is."""
    if not isinstance(value, list):
        return value
    return [
        {**entry, "to": _texts(entry["to"], work)} if isinstance(entry, dict) and "to" in entry else entry
        for entry in value
    ]


def _texts(to: Any, work: Callable[[str], str]) -> Any:
    if isinstance(to, str):
        return [work(to)]
    return [work(each) if isinstance(each, str) else each for each in to] if isinstance(to, list) else to
