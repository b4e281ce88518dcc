"""The length of a queue, asked for real: a command in the release, a URL, and what goes wrong with them."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from halage.base.clock import SystemClock
from halage.base.tasks import Tasks
from halage.compute.drivers.process import ProcessDriver, ProcessSettings
from halage.environment.control.autoscaler import Subject
from halage.environment.control.queue_lengths import NoLength, Queues, number_in
from halage.site.settings import ScalingPlan, Trigger, TriggerKind
from tests.controlplane import PROD, Ground, control_plane, eventually, site_of
from tests.services.environment.test_autoscaling import TypedMeasures


def trigger(**of: str) -> Trigger:
    return Trigger("jobs", TriggerKind.QUEUE, target=10, **of)  # type: ignore[arg-type]


def subject(chosen: Trigger) -> Subject:
    return Subject(PROD, "worker", ScalingPlan(0, 4, (chosen,)), 1)


@pytest.mark.parametrize(("text", "length"), [("7", 7), ("hello\n12.5\n\n", 12.5), ("0\n", 0)])
def test_the_last_line_is_the_length(text: str, length: float) -> None:
    assert number_in(text) == length


@pytest.mark.parametrize("text", ["", "\n", "7 jobs", "-1", "nan", "1e400", "7\nwarning: slow\n"])
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(NoLength):
        number_in(text)


class Answer(BaseHTTPRequestHandler):
    body = b"42\n"
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/length"
    server.shutdown()
    thread.join()
    server.server_close()


@asynccontextmanager
async def queues(directory: Path) -> AsyncIterator[tuple[Queues, TypedMeasures]]:
    """Queues of a deployed environment whose commands run as real processes."""
    ground = Ground(directory, SystemClock())
    measures = TypedMeasures()
    async with (
        control_plane(ground) as plane,
        ProcessDriver(directory / "units", ProcessSettings()) as compute,
        Tasks() as tasks,
    ):
        await plane.deploy_whole(site_of(variables={"WAITING": "17"}))
        release = ground.places.release(PROD, 1)
        release.mkdir(parents=True, exist_ok=True)
        machinery = replace(plane.environments._m, compute=compute)
        found = Queues(machinery, measures, tasks=tasks)
        yield found, measures
        await found.close()
        assert await compute.list() == [], "nothing is left behind"
    ground.close()


async def _told(found: Queues, measures: TypedMeasures, chosen: Trigger) -> tuple[list[float], str]:
    found.ask([subject(chosen)], 1000.0)

    async def look() -> bool:
        return bool(measures.lengths) or found.problem(PROD, "jobs") != ""

    await eventually(look, "an answer")
    return [length for _, length in measures.lengths], found.problem(PROD, "jobs")


async def test_a_command_has_the_release_and_its_variables(tmp_path: Path) -> None:
    async with queues(tmp_path) as (found, measures):
        told = await _told(found, measures, trigger(command="echo counting; echo $WAITING"))
        assert told == ([17.0], "")


@pytest.mark.parametrize(
    ("command", "said"),
    [("exit 3", "its command exited with code 3"), ("echo none", "no number"), ("true", "no number")],
)
async def test_a_command_that_tells_no_length(tmp_path: Path, command: str, said: str) -> None:
    async with queues(tmp_path) as (found, measures):
        lengths, problem = await _told(found, measures, trigger(command=command))
        assert (lengths, said in problem) == ([], True), problem


async def test_a_url(tmp_path: Path, url: str) -> None:
    async with queues(tmp_path) as (found, measures):
        assert await _told(found, measures, trigger(url=url)) == ([42.0], "")


async def test_a_url_that_does_not_answer(tmp_path: Path, url: str) -> None:
    async with queues(tmp_path) as (found, measures):
        lengths, problem = await _told(found, measures, trigger(url="http://127.0.0.1:1/"))
        assert lengths == [] and problem
        await _told(found, measures, trigger(url=url))

        async def is_over() -> bool:
            return found.problem(PROD, "jobs") == ""

        await eventually(is_over, "the end of the trouble")
