"""Keeps certificates: sealed in the database, opened in memory; makes one where none was given."""

from collections.abc import Iterable, Sequence
from typing import Any

import structlog

from halage.balancer.certificates import (
    end_of,
    fingerprint_of,
    make_authority,
    make_certificate,
    read_certificate,
)
from halage.balancer.errors import BadCertificate
from halage.balancer.model import Certificate
from halage.balancer.rules import covers
from halage.base.clock import Clock
from halage.base.database import Database, Transaction
from halage.base.errors import HalageError
from halage.environment.certificates.model import Kept, Origin
from halage.environment.configuration import Sealer
from halage.environment.tables import certificate_store as store

AUTHORITY = "authority"
CONSOLE = "console"
"""Names that no environment's route has: those hold a dot."""
RENEW_BEFORE_S = 30 * 86400.0
"""A made certificate is made anew so long before its end."""
ACTOR = "halage"
log = structlog.get_logger()


class Certificates:
    """All certificates by the name of their route."""

    def __init__(self, database: Database, clock: Clock, sealer: Sealer, authority: str) -> None:
        """`authority`: what people see as the issuer of made certificates."""
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._authority = authority
        self._kept: dict[str, Kept] = {}
        self._unreadable: set[str] = set()

    async def load(self) -> None:
        """Read and open all of them: at the start of the control plane."""
        for row in await self._database.run(store.rows):
            try:
                self._kept[row.name] = self._open(row)
            except HalageError as error:
                # Nothing is made in its place: its owner may have put away the key of the server.
                self._unreadable.add(row.name)
                log.warning(
                    "certificate not opened",
                    action="environment:OpenCertificate",
                    subject=subject_of(row.name),
                    reason=error.message,
                )

    def find(self, name: str) -> Kept | None:
        """The certificate of a route, or None."""
        return self._kept.get(name)

    async def ensure(self, name: str, hosts: Sequence[str]) -> None:
        """See to it that a route with HTTPS has a certificate, and that a made one is good for its hosts."""
        kept = self._kept.get(name)
        if name in self._unreadable or not hosts or (kept is not None and not self._is_outdated(kept, hosts)):
            return
        origin = kept.origin if kept is not None else Origin.MADE
        try:
            await self.make(name, hosts, origin, actor=ACTOR)
        except HalageError as error:
            log.warning(
                "certificate not made",
                action="environment:SetCertificate",
                subject=subject_of(name),
                reason=error.message,
            )

    async def give(self, name: str, certificate: Certificate, *, actor: str) -> Kept:
        """Keep a certificate that a person gives."""
        return await self._keep(name, certificate, Origin.GIVEN, actor)

    async def make(self, name: str, hosts: Sequence[str], origin: Origin, *, actor: str) -> Kept:
        """Make one for the host names and keep it."""
        authority = await self.authority() if origin is Origin.MADE else None
        return await self._keep(name, make_certificate(hosts, self._clock.now(), authority), origin, actor)

    async def put_back(self, name: str, kept: Kept | None, *, actor: str) -> None:
        """Return to what there was before, because the new one cannot be served."""
        if kept is None:
            await self.remove([name], actor=actor)
        else:
            await self._keep(name, kept.certificate, kept.origin, kept.updated_by)

    async def remove(self, names: Iterable[str], *, actor: str) -> None:
        """Forget them; those that are not there are ignored."""
        known = [name for name in names if name in self._kept or name in self._unreadable]
        if known:
            await self._database.run(_remove, {name: self._facts(name) for name in known}, actor)
        self.forget(known)

    def forget(self, names: Iterable[str]) -> None:
        """The same once the rows are gone with their project."""
        for name in names:
            self._kept.pop(name, None)
            self._unreadable.discard(name)

    async def authority(self) -> Certificate:
        """The authority of this server, made when it is asked for the first time."""
        if (kept := self._kept.get(AUTHORITY)) is not None:
            return kept.certificate
        if AUTHORITY in self._unreadable:
            raise BadCertificate(
                "the key of this server's authority cannot be opened: put back the server's key file"
            )
        made = make_authority(self._authority, self._clock.now())
        sealed = self._sealer.seal(made.key)
        # Of two who ask at once both get the one that was first.
        row = await self._database.run(_keep_authority, made, sealed)
        self._kept[AUTHORITY] = self._open(row)
        return self._kept[AUTHORITY].certificate

    def _is_outdated(self, kept: Kept, hosts: Sequence[str]) -> bool:
        if kept.origin is Origin.GIVEN:
            return False
        is_short = kept.certificate.ends_at - self._clock.now() < RENEW_BEFORE_S
        return is_short or not all(covers(kept.certificate, host) for host in hosts)

    async def _keep(self, name: str, certificate: Certificate, origin: Origin, actor: str) -> Kept:
        sealed = self._sealer.seal(certificate.key)
        before, after = self._facts(name), facts_of(certificate, origin)
        await self._database.run(_put, name, (certificate.chain, sealed, origin), before, after, actor)
        self._kept[name] = Kept(certificate, origin, self._clock.now(), actor)
        self._unreadable.discard(name)
        return self._kept[name]

    def _facts(self, name: str) -> dict[str, Any] | None:
        kept = self._kept.get(name)
        return facts_of(kept.certificate, kept.origin) if kept is not None else None

    def _open(self, row: Any) -> Kept:
        key = self._sealer.open(row.sealed_key)
        if row.name == AUTHORITY:
            certificate = Certificate(row.chain, key, (), end_of(row.chain))
        else:
            certificate = read_certificate(row.chain, key, now=None)
        return Kept(certificate, Origin(row.origin), row.updated_at, row.updated_by)


def facts_of(certificate: Certificate, origin: Origin) -> dict[str, Any]:
    """What the journal tells of a certificate."""
    return {
        "origin": origin.value,
        "names": list(certificate.names),
        "ends_at": certificate.ends_at,
        "fingerprint": fingerprint_of(certificate),
    }


def subject_of(name: str) -> str:
    """The journal's name of whose certificate it is."""
    project, dot, environment = name.partition(".")
    return f"project/{project}/environment/{environment}" if dot else "server"


def _project_of(name: str) -> str | None:
    return name.partition(".")[0] if "." in name else None


def _put(
    tx: Transaction,
    name: str,
    kept: tuple[str, str, Origin],
    before: dict[str, Any] | None,
    after: dict[str, Any],
    actor: str,
) -> None:
    chain, sealed, origin = kept
    store.put(tx, name, chain=chain, sealed_key=sealed, origin=origin.value, updated_by=actor)
    tx.record(
        "environment:SetCertificate",
        actor=actor,
        subject=subject_of(name),
        project=_project_of(name),
        before=before,
        after=after,
    )


def _remove(tx: Transaction, facts: dict[str, dict[str, Any] | None], actor: str) -> None:
    store.remove(tx, facts)
    for name, before in facts.items():
        tx.record(
            "environment:RemoveCertificate",
            actor=actor,
            subject=subject_of(name),
            project=_project_of(name),
            before=before,
        )


def _keep_authority(tx: Transaction, made: Certificate, sealed: str) -> Any:
    if store.row(tx, AUTHORITY) is None:
        store.put(
            tx, AUTHORITY, chain=made.chain, sealed_key=sealed, origin=Origin.MADE.value, updated_by=ACTOR
        )
        tx.record(
            "environment:MakeAuthority", actor=ACTOR, subject="server", after=facts_of(made, Origin.MADE)
        )
    return store.row(tx, AUTHORITY)
