"""What the API answers about certificates."""

from datetime import datetime

from pydantic import Field

from halage.environment.certificates.model import Origin
from halage.web.api.schemas import View


class Certificate(View):
    """A certificate as it is shown to visitors."""

    origin: Origin
    names: list[str]
    issuer: str
    fingerprint: str = Field(description="SHA-256, as browsers show it.")
    ends_at: datetime
    chain: str = Field(description="PEM.")
    served: list[str] = Field(description="Host names that are served by HTTPS with it now.")
    not_covered: list[str] = Field(description="Host names that it is not good for.")
    refused: str = Field(description="Why it is not served although HTTPS is on; empty otherwise.")
    updated_at: datetime
    updated_by: str


class Authority(View):
    """The authority of this server."""

    chain: str = Field(description="Its certificate, PEM.")
