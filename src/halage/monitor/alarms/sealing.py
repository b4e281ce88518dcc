"""Addresses, URLs and headers that may hold passwords: kept sealed, shown masked.

What is shown of an address ends in a few random letters (`mailto://***@example.org#k3x9`), so that two of
one host are told apart and nothing of the secret can be guessed from it. Who sends a shown form back
(a definition that was read, changed in another place and sent again) keeps what it stands for.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from halage.base.ids import new_id
from halage.monitor.alarms.documents import ACTION_FIELDS
from halage.monitor.alarms.errors import BadAlarm
from halage.monitor.alarms.model import (
    Action,
    Band,
    Call,
    Definition,
    LowSamples,
    Missing,
    Operator,
    Rollback,
    Scale,
    Sealed,
    Side,
    Tell,
)

MASK = "***"
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_OWN_HEADERS = frozenset({"idempotency-key", "content-length", "content-type", "host", "transfer-encoding"})
_SHOWS_HOST = frozenset(
    {"mailto", "mailtos", "json", "jsons", "xml", "xmls", "form", "forms", "syslog", "http", "https"}
)
"""Schemes whose address names a host; elsewhere that place often holds a token."""


class Box(Protocol):
    """Seals and opens texts: access' SecretBox."""

    def seal(self, text: str) -> str:
        """The text, encrypted."""
        ...

    def open(self, sealed: str) -> str:
        """The text that was sealed."""
        ...


def shown_form(address: str, mark: str | None = None) -> str:
    """What may be shown of an address: its scheme, its host where that is one, and a mark of its own."""
    scheme, separator, _ = address.partition("://")
    mark = mark or new_id("a", 4).removeprefix("a-")
    if not separator or not scheme.isascii() or not scheme.replace("+", "").replace("-", "").isalnum():
        return f"{MASK}#{mark}"
    host = ""
    if scheme.lower() in _SHOWS_HOST:
        try:
            host = urlsplit(address).hostname or ""
        except ValueError:
            host = ""
    return f"{scheme.lower()}://{MASK}@{host}#{mark}" if host else f"{scheme.lower()}://{MASK}#{mark}"


def seal(address: str, box: Box) -> Sealed:
    """An address with what may be shown of it."""
    return Sealed(shown_form(address), box.seal(address))


def definition_of(wanted: Mapping[str, Any], box: Box, before: Definition | None) -> Definition:
    """The definition that a request wants (its form is checked already), with what is secret sealed.

    `before`: the one that it replaces. Raises BadAlarm for a shown form that stands for nothing.
    """
    kept = _Kept(before)
    values = {name: value for name, value in wanted.items() if value is not None}
    for field in ACTION_FIELDS:
        actions = enumerate(values.get(field, ()))
        values[field] = tuple(_seal_action(each, box, kept, f"{field}.{place}") for place, each in actions)
    if (band := values.get("band")) is not None:
        values["band"] = Band(band["width"], Side(band.get("side", Side.OUTSIDE)))
    for name, kind in (("operator", Operator), ("missing", Missing), ("low_samples", LowSamples)):
        if name in values:
            values[name] = kind(values[name])
    return Definition(**values)


def _seal_action(wanted: Mapping[str, Any], box: Box, kept: "_Kept", where: str) -> Action:
    match wanted["kind"]:
        case "tell":
            to = wanted.get("to") or ()
            return Tell(tuple(kept.address(each, box, f"{where}.to.{n}") for n, each in enumerate(to)))
        case "scale":
            return Scale(
                maximum=wanted["maximum"],
                minimum=wanted.get("minimum", 1),
                by=wanted.get("by"),
                to=wanted.get("to"),
            )
        case "rollback":
            return Rollback(wanted.get("within_s", Rollback().within_s))
    url = kept.address(wanted["url"], box, f"{where}.url")
    if url.shown != wanted["url"]:
        _check_url(wanted["url"], f"{where}.url")
    headers = wanted.get("headers") or {}
    for name in headers:
        if _HEADER.fullmatch(name) is None or name.lower() in _OWN_HEADERS:
            allowed = "the name of a header that Halage does not set itself"
            raise _refusal(f"{where}.headers", repr(name)[:100], allowed)
    return Call(
        method=wanted.get("method", "POST"),
        url=url,
        headers=tuple(
            (name, kept.header(url, name, value, box, f"{where}.headers.{name}"))
            for name, value in sorted(headers.items())
        ),
    )


class _Kept:
    """The secrets of the definition before, by what was shown of them."""

    def __init__(self, before: Definition | None) -> None:
        actions: Iterable[Action] = ()
        if before is not None:
            actions = (*before.on_alarm, *before.on_ok, *before.on_insufficient_data)
        self._addresses: dict[str, Sealed] = {}
        self._headers: dict[tuple[str, str], Sealed] = {}
        for action in actions:
            if isinstance(action, Tell):
                self._addresses |= {each.shown: each for each in action.to}
            if isinstance(action, Call):
                self._addresses[action.url.shown] = action.url
                self._headers |= {(action.url.shown, name): value for name, value in action.headers}

    def address(self, text: str, box: Box, where: str) -> Sealed:
        if text in self._addresses:
            return self._addresses[text]
        if f"{MASK}#" in text or f"{MASK}@" in text:
            raise _refuse_mask(where)
        return seal(text, box)

    def header(self, url: Sealed, name: str, value: str, box: Box, where: str) -> Sealed:
        if value != MASK:
            return Sealed(MASK, box.seal(value))
        if (url.shown, name) not in self._headers:
            raise _refuse_mask(where)
        return self._headers[url.shown, name]


def _check_url(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise _refusal(where, "something else", "an address such as https://hooks.example.org/deploy")


def _refuse_mask(where: str) -> BadAlarm:
    allowed = "a new value, or exactly what is shown of one that this alarm has"
    return _refusal(where, "only what is shown of a secret, and of none that this alarm has", allowed)


def _refusal(where: str, found: str, allowed: str) -> BadAlarm:
    return BadAlarm(
        f"{where}: found {found}, allowed is {allowed}",
        errors=[{"location": where, "found": found, "allowed": allowed}],
    )
