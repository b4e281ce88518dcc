"""A certificate that is kept, and what people are shown of it."""

from dataclasses import dataclass
from enum import StrEnum

from halage.balancer.model import Certificate


class Origin(StrEnum):
    """Where a certificate comes from."""

    GIVEN = "given"
    """A person gave it, and gives the next one."""
    MADE = "made"
    """Signed by the authority of this server, and renewed by it."""
    SELF_SIGNED = "self_signed"
    """Signed by itself, and renewed."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A certificate as it is kept."""

    certificate: Certificate
    origin: Origin
    updated_at: float
    updated_by: str


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """What people are shown of a certificate: never its key."""

    origin: Origin
    names: tuple[str, ...]
    issuer: str
    fingerprint: str
    """SHA-256, as browsers show it."""
    ends_at: float
    chain: str
    """PEM."""
    served: tuple[str, ...]
    """Host names that are served by HTTPS with it now."""
    not_covered: tuple[str, ...]
    """Host names that lead there and that it is not good for."""
    refused: str
    """Why it is not served although HTTPS is on; empty when it is, or when HTTPS is off."""
    updated_at: float
    updated_by: str
