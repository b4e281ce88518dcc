"""Shares, batches, ranges of addresses and moments by cron: the values of an environment's settings."""

import ipaddress
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, ValidationInfo, WithJsonSchema

from halage.site.settings import Batch
from halage.site.values import refuse

MOST_INSTANCES = 100
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_LABEL = re.compile(r"[a-z]([a-z0-9_-]{0,30}[a-z0-9])?")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_SEALED = re.compile(r"sealed:[^|\s]+\|\S+")
"""What may be shown of an address that was set on the server, and the address, encrypted."""
_REFERENCE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
_OWN = ipaddress.IPv4Network("127.0.0.0/16")
EVENTS = ("started", "succeeded", "failed", "rolled_back", "scaled", "degraded", "recovered")
SUSPENDABLE = ("out", "in", "schedule", "replace")


def parse_share(value: Any) -> Any:
    """A share in per cent, from `"25%"` or a number."""
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    share = float(match[1]) if match else value
    is_number = isinstance(share, int | float) and not isinstance(share, bool)
    if not is_number or not 0 <= share <= 100:
        raise refuse('a share from "0%" to "100%", or a number from 0 to 100')
    return float(share)


def parse_batch(value: Any) -> Any:
    """A batch from a number of instances or a share such as `"25%"`."""
    if isinstance(value, Batch):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_INSTANCES:
        return Batch(count=value)
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match and 0 < float(match[1]) <= 100:
        return Batch(percent=float(match[1]))
    raise refuse(
        f'a number of instances from 1 to {MOST_INSTANCES}, or a share of them over "0%" and up to "100%"'
    )


def check_cron(value: str) -> str:
    """A line of cron in five fields that comes round at some time."""
    text = " ".join(value.split())
    try:
        if len(text.split()) != 5:
            raise CronSimError("five fields")
        CronSim(text, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        allowed = 'minute, hour, day, month and weekday as cron has them, such as "0 8 * * MON-FRI"'
        raise refuse(f"{allowed} ({str(error).lower()})") from None
    return text


def check_zone(value: str) -> str:
    """The name of a time zone."""
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):
        raise refuse('a time zone such as "UTC" or "Europe/Paris"') from None
    return value


def check_label(value: str) -> str:
    """A name of people's own, for a trigger, a size or a kind of process."""
    if not _LABEL.fullmatch(value):
        raise refuse('a name of lower-case letters, digits, "-" and "_", at most 32, such as "busy-hours"')
    return value


def check_address(value: str, info: ValidationInfo) -> str:
    """Where messages go: an address in Apprise's form, or `$NAME`, the variable that holds it."""
    if (info.context or {}).get("is_of_server") and _SEALED.fullmatch(value):
        return value
    if not _ADDRESS.fullmatch(value) and not _REFERENCE.fullmatch(value):
        raise refuse(
            'an address such as "mailto://team@example.org", or "$NAME" of the secret variable that holds it'
        )
    return value


def check_http_url(value: str) -> str:
    """The URL of something that answers with a number."""
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
        raise refuse('a URL such as "http://127.0.0.1:9000/queue"')
    return value


def check_source(value: str) -> str:
    """An address or a range of addresses, in its shortest form."""
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise refuse('an address or a range such as "203.0.113.5" or "10.0.0.0/8"') from None


def check_private_range(value: str) -> str:
    """A range of loopback addresses for instances, apart from those that others use."""
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        network = _OWN
    if not network.subnet_of(_LOOPBACK) or network.overlaps(_OWN) or network.prefixlen > 24:
        raise refuse("a range of 256 addresses or more within 127.0.0.0/8 and past 127.0.0.0/16")
    return str(network)


def check_expression(value: str, info: ValidationInfo) -> str:
    """An expression over metrics; read where the one who asks knows that language."""
    read: Callable[[str], str | None] | None = (info.context or {}).get("read_expression")
    problem = read(value) if read is not None else None
    if not value.strip() or problem:
        raise refuse("an expression over metrics" + (f" ({problem.rstrip('.')})" if problem else ""))
    return value.strip()


def _one_of(names: Iterable[str]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in names:
            raise refuse(", ".join(names))
        return value

    return check


_SHARE_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 100},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$"},
    ]
}
_BATCH_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MOST_INSTANCES},
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$"},
    ]
}

Share = Annotated[float, BeforeValidator(parse_share), WithJsonSchema(_SHARE_SCHEMA)]
BatchSize = Annotated[Batch, BeforeValidator(parse_batch), WithJsonSchema(_BATCH_SCHEMA)]
Cron = Annotated[str, AfterValidator(check_cron)]
Zone = Annotated[str, AfterValidator(check_zone)]
Label = Annotated[str, AfterValidator(check_label)]
Address = Annotated[str, AfterValidator(check_address)]
HttpUrl = Annotated[str, AfterValidator(check_http_url)]
SourceRange = Annotated[str, AfterValidator(check_source)]
PrivateRange = Annotated[str, AfterValidator(check_private_range)]
Expression = Annotated[str, AfterValidator(check_expression)]
EventName = Annotated[str, AfterValidator(_one_of(EVENTS))]
Suspendable = Annotated[str, AfterValidator(_one_of(SUSPENDABLE))]
