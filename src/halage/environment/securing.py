"""Certificates: what people ask of them, for an environment or (place None) for the console."""

from collections.abc import Callable

import structlog

from halage.balancer.certificates import fingerprint_of, issuer_of, read_certificate
from halage.balancer.errors import BadCertificate
from halage.balancer.rules import covers
from halage.base.clock import Clock
from halage.base.errors import Conflict, HalageError
from halage.environment.certificates.errors import NoSuchCertificate
from halage.environment.certificates.keeper import CONSOLE, Certificates
from halage.environment.certificates.model import Kept, Origin, ShownCertificate
from halage.environment.errors import NoSuchEnvironment
from halage.environment.routing import Routing, route_name
from halage.environment.tables.store import Place

LOOK_EVERY_S = 3600.0
log = structlog.get_logger()


class CertificateDesk:
    """The use cases of certificates. Every method raises NoSuchEnvironment for an unknown place."""

    def __init__(self, routing: Routing, clock: Clock, on_change: Callable[[Place | None], None]) -> None:
        """`on_change` is called after each change, with the environment (None: several, or the console):
        those who keep a copy of it read it anew.
        """
        self._routing = routing
        self._clock = clock
        self._on_change = on_change

    @property
    def _certificates(self) -> Certificates:
        return self._routing.certificates

    def show(self, place: Place | None) -> ShownCertificate:
        """The certificate that is there. Raises NoSuchCertificate."""
        self._hosts(place)
        kept = self._certificates.find(_name(place))
        if kept is None:
            raise NoSuchCertificate(
                f"{_words(place)} has no certificate: give one, let one be made, or turn HTTPS on"
            )
        return self._shown(place, kept)

    async def give(self, place: Place | None, chain: str, key: str, *, actor: str) -> ShownCertificate:
        """Show this one to visitors from now on. Raises BadCertificate with what is wrong with it."""
        hosts = self._hosts(place)
        certificate = read_certificate(chain, key, self._clock.now())
        if not any(covers(certificate, host) for host in hosts):
            raise BadCertificate(
                f"the certificate is good for {', '.join(certificate.names)}, and for none of the host names "
                f"of {_words(place)}: {', '.join(hosts)}"
            )
        before = self._certificates.find(_name(place))
        await self._certificates.give(_name(place), certificate, actor=actor)
        return await self._take_up(place, before, actor)

    async def make(
        self, place: Place | None, *, is_self_signed: bool = False, actor: str
    ) -> ShownCertificate:
        """Make one for all host names that lead there, and renew it from now on."""
        hosts = self._hosts(place)
        origin = Origin.SELF_SIGNED if is_self_signed else Origin.MADE
        before = self._certificates.find(_name(place))
        await self._certificates.make(_name(place), hosts, origin, actor=actor)
        return await self._take_up(place, before, actor)

    async def remove(self, place: Place | None, *, actor: str) -> None:
        """Forget it; where HTTPS is on, one is made in its place. Raises NoSuchCertificate."""
        self.show(place)
        await self._certificates.remove([_name(place)], actor=actor)
        await self._routing.secure(place)
        await self._routing.take_up(place)
        self._on_change(place)

    async def authority(self) -> str:
        """The certificate of this server's authority, PEM: who trusts it trusts every made one."""
        return (await self._certificates.authority()).chain

    async def keep_fresh(self) -> None:
        """Renew made certificates before they end; never returns."""
        while True:
            await self._clock.sleep(LOOK_EVERY_S)
            try:
                if await self._routing.renew():
                    self._on_change(None)
            except HalageError:
                # The next look is in an hour, and there are thirty days.
                log.exception("certificates not renewed", action="environment:Renew", subject="server")

    async def _take_up(self, place: Place | None, before: Kept | None, actor: str) -> ShownCertificate:
        reason = await self._routing.take_up(place)
        if reason:
            await self._certificates.put_back(_name(place), before, actor=actor)
            await self._routing.take_up(place)
            raise BadCertificate(f"the balancer does not take the certificate of {_words(place)}: {reason}")
        self._on_change(place)
        return self.show(place)

    def _hosts(self, place: Place | None) -> tuple[str, ...]:
        if place is not None:
            if not self._routing.knows(place):
                raise NoSuchEnvironment(f"there is no environment {place[1]} in {place[0]}")
            return self._routing.hosts(place)
        if self._routing.console is None:
            raise Conflict(
                "the console has no host name of its own: set `host` of [console] in the server's settings"
            )
        return (self._routing.console.host,)

    def _shown(self, place: Place | None, kept: Kept) -> ShownCertificate:
        certificate = kept.certificate
        hosts = self._hosts(place)
        return ShownCertificate(
            origin=kept.origin,
            names=certificate.names,
            issuer=issuer_of(certificate),
            fingerprint=fingerprint_of(certificate),
            ends_at=certificate.ends_at,
            chain=certificate.chain,
            served=self._routing.secured_hosts(place),
            not_covered=tuple(host for host in hosts if not covers(certificate, host)),
            refused=self._routing.refused(place),
            updated_at=kept.updated_at,
            updated_by=kept.updated_by,
        )


def _name(place: Place | None) -> str:
    return CONSOLE if place is None else route_name(place)


def _words(place: Place | None) -> str:
    return "the console" if place is None else f"{place[0]} {place[1]}"
