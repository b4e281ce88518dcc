"""Asks instances for their own metrics, each in a task of its own: one that hangs holds up no other."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
import structlog

from halage.base.clock import Clock
from halage.base.errors import HalageError, cause_in_words
from halage.base.tasks import Tasks
from halage.monitor.intake.exposition import BadExposition, Family, parse_exposition
from halage.monitor.inventory import WatchedEnvironment, WatchedInstance

TIMEOUT_S = 5.0
"""For the whole answer."""
LARGEST_ANSWER = 1024 * 1024
log = structlog.get_logger()
_ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4"


@dataclass(frozen=True, slots=True)
class Scraped:
    """What came of one scrape."""

    instance: WatchedInstance
    tick: int
    at: float
    duration_ms: float
    families: tuple[Family, ...]
    unread: int
    """Lines that could not be read."""
    problem: str | None


class _Failed(HalageError):
    """The scrape failed."""


class Scraper:
    """Begins a scrape of each instance when told so. `take` gets every outcome."""

    def __init__(
        self,
        clock: Clock,
        take: Callable[[Scraped], None],
        *,
        tasks: Tasks,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._clock = clock
        self._take = take
        self._tasks = tasks
        self._timeout_s = timeout_s
        self._busy: set[str] = set()
        # No limit of connections: those that hang would hold up the others.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._client = httpx.AsyncClient(limits=limits, trust_env=False, timeout=timeout_s, verify=False)  # noqa: S501 - plain HTTP alone

    async def close(self) -> None:
        """Let go of the connections; call it once the tasks have ended."""
        await self._client.aclose()

    def scrape(self, tick: int, environments: Sequence[WatchedEnvironment]) -> None:
        """Begin a scrape of every instance that serves and names a path, for the tick that just ended.

        One whose last scrape is still under way is left out: scrapes never pile up.
        """
        for environment in environments:
            for instance in environment.instances if environment.metrics_path is not None else ():
                if instance.is_serving and instance.unit_id not in self._busy:
                    self._busy.add(instance.unit_id)
                    self._tasks.start(self._scrape(tick, environment, instance), name=f"scrape {instance.id}")

    async def _scrape(self, tick: int, environment: WatchedEnvironment, instance: WatchedInstance) -> None:
        try:
            self._take(await self._outcome(tick, environment, instance))
        except Exception:
            # What a site answers must never end the service.
            log.exception("scrape failed", action="monitor:Scrape", subject=instance.id)
        finally:
            self._busy.discard(instance.unit_id)

    async def _outcome(
        self, tick: int, environment: WatchedEnvironment, instance: WatchedInstance
    ) -> Scraped:
        started_at, started = self._clock.now(), self._clock.monotonic()
        families: list[Family] = []
        unread, problem = 0, None
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._ask(environment, instance)
            # A megabyte takes a tenth of a second to read.
            families, unread = await asyncio.to_thread(_read, body)
        except TimeoutError:
            problem = f"no whole answer within {self._timeout_s:g} s"
        except (_Failed, BadExposition) as error:
            problem = error.message
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            problem = cause_in_words(error)
        if problem is None and unread:
            problem = f"lines that could not be read: {unread}"
        duration_ms = (self._clock.monotonic() - started) * 1000
        return Scraped(instance, tick, started_at, duration_ms, tuple(families), unread, problem)

    async def _ask(self, environment: WatchedEnvironment, instance: WatchedInstance) -> bytes:
        path = environment.metrics_path or ""
        if not path.startswith("/"):
            raise _Failed(f"the path {path!r} does not begin with a slash")
        address = f"{instance.address}:{instance.port}"
        headers = {
            "host": environment.domains[0] if environment.domains else address,
            "user-agent": "halage-scrape",
            "accept": _ACCEPT,
            "accept-encoding": "identity",
            "connection": "close",
        }
        url = f"http://{address}{path}"
        # Never followed anywhere else: a site would send us where only the server may go.
        async with self._client.stream("GET", url, headers=headers, follow_redirects=False) as answer:
            if answer.status_code != 200:
                raise _Failed(f"it answered {answer.status_code} {answer.reason_phrase}".rstrip())
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise _Failed("it answered in a compression that was not asked for")
            body = bytearray()
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > LARGEST_ANSWER:
                    raise _Failed(f"its answer is longer than {LARGEST_ANSWER // 1024} KiB")
            return bytes(body)


def _read(body: bytes) -> tuple[list[Family], int]:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise BadExposition("it is not text in UTF-8") from error
    return parse_exposition(text)
