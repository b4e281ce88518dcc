"""What the API takes of certificates."""

from typing import Self

from pydantic import Field, model_validator

from halage.environment.certificates.model import Origin
from halage.web.api.requests import RequestBody

_PEM = r"^[^\x00]*$"


class CertificateWanted(RequestBody):
    """A certificate that is given, or the wish that one be made."""

    origin: Origin = Field(
        default=Origin.GIVEN,
        description="`given`: with `certificate` and `key`; `made`: signed by this server's authority; "
        "`self_signed`. Those two are renewed by themselves.",
    )
    certificate: str | None = Field(
        default=None, max_length=65536, pattern=_PEM, description="PEM, with the chain to its issuer."
    )
    key: str | None = Field(
        default=None,
        max_length=65536,
        pattern=_PEM,
        repr=False,
        description="PEM, without a password; or at the end of `certificate`.",
    )

    @model_validator(mode="after")
    def _given_or_made(self) -> Self:
        has_one = self.certificate is not None
        if self.origin is Origin.GIVEN and not has_one:
            raise ValueError("certificate is missing: the text of a PEM file")
        if self.origin is not Origin.GIVEN and (has_one or self.key is not None):
            raise ValueError(f"origin {self.origin.value} takes neither certificate nor key: one is made")
        return self
