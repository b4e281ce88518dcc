"""The length of a queue, asked for real: a command in the release, a URL, and what goes wrong with them."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from halage.base.clock import SystemClock
from halage.base.tasks import Tasks
from halage.compute.drivers.process import ProcessDriver, ProcessSettings
from halage.environment.control.autoscaler import Subject
from halage.environment.control.queue_lengths import PATIENCE_S, NoLength, Queues, number_in
from halage.site.model import EnvironmentPlan
from halage.site.settings import ScalingPlan, Trigger, TriggerKind
from tests.controlplane import PROD, Ground, control_plane, eventually, site_of
from tests.services.environment.test_autoscaling import TypedMeasures

SECRET = "correct-horse"


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
    with answering(Answer) as found:
        yield found


@contextmanager
def answering(answer: type[Answer]) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/length"
    server.shutdown()
    thread.join()
    server.server_close()


@asynccontextmanager
async def queues(
    directory: Path, patience_s: float = PATIENCE_S
) -> AsyncIterator[tuple[Queues, TypedMeasures]]:
    """Queues of a deployed environment whose commands run as real processes."""
    ground = Ground(directory, SystemClock())
    measures = TypedMeasures()
    async with (
        control_plane(ground) as plane,
        ProcessDriver(directory / "units", ProcessSettings()) as compute,
        Tasks() as tasks,
    ):
        await plane.environments.create(PROD[0], [EnvironmentPlan("prod")])
        await plane.environments.set_variable(*PROD, "KEY", SECRET, is_secret=True, actor="ada")
        await plane.deploy_whole(site_of(variables={"WAITING": "17"}), run_id=1)
        release = ground.places.release(PROD, 1)
        release.mkdir(parents=True, exist_ok=True)
        machinery = replace(plane.environments._m, compute=compute)
        found = Queues(machinery, measures, tasks=tasks, patience_s=patience_s)
        yield found, measures
        await found.close()
        assert await compute.list() == [], "nothing is left behind"
    ground.close()


async def _told(found: Queues, measures: TypedMeasures, chosen: Trigger) -> tuple[list[float], str]:
    found.ask([subject(chosen)], 1000.0)

    async def look() -> bool:
        return bool(measures.lengths) or found.problem(PROD, "worker", "jobs") != ""

    await eventually(look, "an answer")
    return [length for _, length in measures.lengths], found.problem(PROD, "worker", "jobs")


async def test_a_command_has_the_release_and_its_variables(tmp_path: Path) -> None:
    async with queues(tmp_path) as (found, measures):
        told = await _told(found, measures, trigger(command="echo counting; echo $WAITING"))
        assert told == ([17.0], "")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo no broker >&2; exit 3", "its command exited with code 3: no broker"),
        ("echo none", "what it says last is no number: none"),
        ("true", "what it says last is no number"),
        ("echo $KEY; echo at $KEY; exit 1", "with code 1: [secret] | at [secret]"),
        ("printf %5000s x | tr ' x' ab; exit 1", "its command exited with code 1"),
    ],
)
async def test_a_command_that_tells_no_length(tmp_path: Path, command: str, said: str) -> None:
    async with queues(tmp_path) as (found, measures):
        lengths, problem = await _told(found, measures, trigger(command=command))
        assert (lengths, said in problem) == ([], True), problem
        assert SECRET not in problem and "aaa" not in problem


async def test_a_url(tmp_path: Path, url: str) -> None:
    async with queues(tmp_path) as (found, measures):
        assert await _told(found, measures, trigger(url=url)) == ([42.0], "")


async def test_a_url_that_does_not_answer(tmp_path: Path, url: str) -> None:
    async with queues(tmp_path) as (found, measures):
        lengths, problem = await _told(found, measures, trigger(url="http://127.0.0.1:1/"))
        assert lengths == [] and problem
        await _told(found, measures, trigger(url=url))

        async def is_over() -> bool:
            return found.problem(PROD, "worker", "jobs") == ""

        await eventually(is_over, "the end of the trouble")


class Endless(Answer):
    """Never stops telling, and so much of it is read as a number takes."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b"1" * 65536)


async def test_an_answer_without_end_is_not_taken_in(tmp_path: Path) -> None:
    with answering(Endless) as url:
        async with queues(tmp_path) as (found, measures):
            lengths, problem = await _told(found, measures, trigger(url=url))
        assert (lengths, problem) == ([], "it answers more than 4096 bytes, which is no number")


async def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    async with queues(tmp_path, patience_s=0.3) as (found, measures):
        lengths, problem = await _told(found, measures, trigger(command="trap '' TERM; sleep 60 & wait"))
        assert (lengths, problem) == ([], "no answer within 0.3 s")


async def test_kinds_whose_triggers_are_called_the_same_have_a_queue_each(tmp_path: Path, url: str) -> None:
    async with queues(tmp_path) as (found, measures):
        both = [
            replace(subject(trigger(url=url)), process="mailer"),
            replace(subject(trigger(command="exit 1")), process="worker"),
        ]
        found.ask(both, 1000.0)

        async def are_told() -> bool:
            return bool(measures.lengths) and found.problem(PROD, "worker", "jobs") != ""

        await eventually(are_told, "both answers")
        assert found.problem(PROD, "mailer", "jobs") == ""
        assert measures.lengths == [("mailer jobs", 42.0)]
        found.keep_only(both[:1])
        assert found.problem(PROD, "worker", "jobs") == "", "who is gone has no trouble"
