"""How long the certificates of environments' own domain names are still good for."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Collection, Sequence

from cryptography import x509

from halage.base.clock import Clock
from halage.monitor.collect.machine import Aside
from halage.monitor.collect.model import Tick
from halage.monitor.collect.samples import gauge
from halage.monitor.inventory import Inventory, WatchedEnvironment
from halage.monitor.metrics.model import Sample

LOOK_EVERY_S = 3600.0
NEWS_EVERY_S = 60.0
"""How soon a new domain name is looked at."""
TIMEOUT_S = 10.0
PORT = 443
_DAY_S = 86400


def read_end(domain: str, port: int = PORT) -> float | None:
    """When the certificate that answers there ends (seconds, epoch); None when nobody answers. Blocks.

    It is not verified: one that browsers refuse has an end as well, and an end that has passed is
    what people want to be told of.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((domain, port), timeout=TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=domain) as secured,
        ):
            certificate = secured.getpeercert(binary_form=True)
        if certificate is None:
            return None
        return x509.load_der_x509_certificate(certificate).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None


def _asked(environments: Collection[WatchedEnvironment]) -> set[str]:
    """Domain names whose certificate somebody else serves: those alone must be asked for it."""
    named = {domain for environment in environments for domain in environment.domains}
    return named - {host for environment in environments for host, _ in environment.certificate_ends}


class CertificateSource:
    """Days that are left, by domain name. `watch` looks once an hour; between, the last look counts."""

    name = "certificates"

    def __init__(
        self, clock: Clock, inventory: Inventory, read_end: Callable[[str], float | None] = read_end
    ) -> None:
        """`read_end` is asked in a thread of its own."""
        self._clock = clock
        self._inventory = inventory
        self._read_end = read_end
        self._aside = Aside("certificates")
        self._looked: dict[str, float] = {}
        self._ends: dict[str, float] = {}

    async def collect(self, tick: Tick) -> Sequence[Sample]:
        """The days that are left of those that were found."""
        now = self._clock.now()
        samples = []
        for environment in tick.environments:
            served = dict(environment.certificate_ends)
            for domain in dict.fromkeys([*served, *environment.domains]):
                if (end := served.get(domain, self._ends.get(domain))) is not None:
                    dimensions = (
                        ("domain", domain),
                        ("environment", environment.name),
                        ("project", environment.project),
                    )
                    days = round((end - now) / _DAY_S, 2)  # a quarter of an hour: the same for many ticks
                    samples.append(gauge("environment_certificate_days", dimensions, days))
        return samples

    async def watch(self) -> None:
        """Look at each domain name once an hour, and at a new one within a minute."""
        while True:
            with contextlib.suppress(Exception):  # the inventory's trouble is told by others
                environments = await self._inventory.environments()
                await self._look(_asked(environments))
            await self._clock.sleep(NEWS_EVERY_S)

    async def _look(self, domains: set[str]) -> None:
        for known in set(self._looked) - domains:
            self._looked.pop(known)
            self._ends.pop(known, None)
        now = self._clock.monotonic()
        for domain in sorted(domains):
            if now - self._looked.get(domain, -LOOK_EVERY_S) < LOOK_EVERY_S:
                continue
            try:
                # The name server may take its own time, which no time-out of a socket bounds.
                async with asyncio.timeout(2 * TIMEOUT_S):
                    end = await self._aside.run(lambda domain=domain: self._read_end(domain))  # type: ignore[misc]
            except TimeoutError:
                end = None
            self._looked[domain] = now
            if end is None:
                self._ends.pop(domain, None)
            else:
                self._ends[domain] = end
