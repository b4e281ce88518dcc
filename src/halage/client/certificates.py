"""The client's methods about certificates. A place is (project, environment); None is the console."""

from typing import Any
from urllib.parse import quote

from halage.client.connection import Connection

Document = dict[str, Any]
Place = tuple[str, str]


class CertificateCalls(Connection):
    """Part of the client."""

    def show_certificate(self, place: Place | None) -> Document:
        """The certificate that visitors are shown."""
        return dict(self._ask("GET", _path(place)))

    def give_certificate(self, place: Place | None, certificate: str, key: str) -> Document:
        """Show this one from now on. Both are PEM."""
        return dict(self._ask("PUT", _path(place), body={"certificate": certificate, "key": key}))

    def make_certificate(self, place: Place | None, *, is_self_signed: bool = False) -> Document:
        """Have one made, and renewed from now on."""
        return dict(
            self._ask("PUT", _path(place), body={"origin": "self_signed" if is_self_signed else "made"})
        )

    def remove_certificate(self, place: Place | None) -> None:
        """Forget it."""
        self._ask("DELETE", _path(place))

    def show_authority(self) -> str:
        """The certificate of the server's authority, PEM."""
        return str(self._ask("GET", "/server/authority")["chain"])


def _path(place: Place | None) -> str:
    if place is None:
        return "/server/certificate"
    project, environment = (quote(part, safe="") for part in place)
    return f"/projects/{project}/environments/{environment}/certificate"
