"""The real Prometheus from Debian, as a process of a test."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

PATIENCE_S = 20.0


class Prometheus:
    """A running one."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.AsyncClient(base_url=url, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def is_ready(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await self._client.get("/-/ready")).status_code == 200
        return False

    async def ask(self, query: str) -> list[dict[str, Any]]:
        """The result of an instant query: labels and values."""
        answer = await self._client.get("/api/v1/query", params={"query": query})
        document = answer.json()
        assert document["status"] == "success", (query, document)
        return [
            {"labels": each["metric"], "value": float(each["value"][1])}
            for each in document["data"]["result"]
        ]

    async def value(self, query: str) -> float:
        """The value of the one series that the query finds, once it does."""
        async with asyncio.timeout(PATIENCE_S):
            while len(found := await self.ask(query)) != 1:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        return float(found[0]["value"])


@asynccontextmanager
async def prometheus(
    directory: Path, port: int, configuration: str, *options: str
) -> AsyncIterator[Prometheus]:
    """Start it, wait until it is ready, end it."""
    program = shutil.which("prometheus")
    assert program is not None, "install it: tools/setup"
    file = directory / "prometheus.yml"
    file.write_text(configuration)
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
        *options,
    )
    served = Prometheus(f"http://127.0.0.1:{port}")
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await served.is_ready():
                assert process.returncode is None, "prometheus has ended"
                await asyncio.sleep(0.05)
        yield served
    finally:
        await served.close()
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def check_metrics(text: str) -> str:
    """What `promtool check metrics` has to say: nothing, when all is well."""
    process = await asyncio.create_subprocess_exec(
        "promtool",
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(text.encode())
    return output.decode() if process.returncode or output else ""
