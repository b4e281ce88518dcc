"""The client's methods about certificates."""

from typing import Any
from urllib.parse import quote

from halage.client.connection import Connection

Document = dict[str, Any]
CONSOLE = "/server/certificate"


class CertificateCalls(Connection):
    """Part of the client. What is wanted is `{"certificate": PEM, "key": PEM}`, or `{"origin": "made"}`."""

    def show_certificate(self, project: str, environment: str) -> Document:
        """The certificate that visitors of an environment are shown."""
        return dict(self._ask("GET", _path(project, environment)))

    def set_certificate(self, project: str, environment: str, wanted: Document) -> Document:
        """Give one, or have one made; it is shown at once."""
        return dict(self._ask("PUT", _path(project, environment), body=wanted))

    def remove_certificate(self, project: str, environment: str) -> None:
        """Forget it."""
        self._ask("DELETE", _path(project, environment))

    def show_console_certificate(self) -> Document:
        """The certificate of the console's own host name."""
        return dict(self._ask("GET", CONSOLE))

    def set_console_certificate(self, wanted: Document) -> Document:
        """Give it one, or have one made."""
        return dict(self._ask("PUT", CONSOLE, body=wanted))

    def remove_console_certificate(self) -> None:
        """Forget it."""
        self._ask("DELETE", CONSOLE)

    def show_authority(self) -> Document:
        """The certificate of the server's authority: `chain`, PEM."""
        return dict(self._ask("GET", "/server/authority"))


def _path(project: str, environment: str) -> str:
    return f"/projects/{quote(project, safe='')}/environments/{quote(environment, safe='')}/certificate"
