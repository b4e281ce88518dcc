"""The start-up probe: asks a new instance for an HTTP answer until it gives a good one."""

from collections.abc import Callable
from dataclasses import dataclass

import httpx

from halage.base.clock import Clock
from halage.base.errors import cause_in_words

FIRST_INTERVAL_S = 0.05
LONGEST_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class Probe:
    """What to ask: `url` on the instance's own address, `host` as a visitor would name it."""

    url: str
    host: str
    timeout_s: float
    """For one answer."""
    boot_timeout_s: float
    """For the first good answer."""
    stays_up_s: float | None = None
    """A worker is asked nothing: it is well once it has run for so long."""


class Prober:
    """Sends probes. Healthy is an answer with 2xx or 3xx: an open port is not enough."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(verify=False, limits=limits, trust_env=False)  # noqa: S501

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()

    async def until_answer(self, probe: Probe, is_over: Callable[[], bool]) -> str | None:
        """None once the answer is good, or why there was none: the boot time is over, or `is_over()`."""
        start = self._clock.monotonic()
        if probe.stays_up_s is not None:
            await self._clock.sleep(probe.stays_up_s)
            return "it ended" if is_over() else None
        interval = FIRST_INTERVAL_S
        while True:
            problem = await self._ask(probe)
            if problem is None:
                return None
            elapsed = self._clock.monotonic() - start
            if is_over() or elapsed >= probe.boot_timeout_s:
                return f"gave no good answer to GET {probe.url} within {elapsed:.1f} s: {problem}"
            await self._clock.sleep(interval)
            interval = LONGEST_INTERVAL_S if elapsed > 10 else min(interval * 1.1, 0.25)

    async def _ask(self, probe: Probe) -> str | None:
        headers = {"host": probe.host, "user-agent": "halage-probe", "connection": "close"}
        try:
            answer = await self._client.get(probe.url, headers=headers, timeout=probe.timeout_s)
        except httpx.TimeoutException:
            return f"no answer within {probe.timeout_s:g} s"
        except httpx.HTTPError as error:
            return cause_in_words(error)
        if 200 <= answer.status_code < 400:
            return None
        return f"it answered {answer.status_code} {answer.reason_phrase}".rstrip()
