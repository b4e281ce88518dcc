"""Pushes with a real git client."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from halage.base.errors import Invalid
from halage.source import store
from halage.source.model import ABSENT, Push, PushAnswer
from tests.components.source.rig import Rig


async def test_a_push_is_told_and_answered(rig: Rig) -> None:
    sha = await rig.client.init()
    text = await rig.client.git("push", "origin", "main")
    assert "remote: run for refs/heads/main" in text
    (push,) = rig.consumer.pushes
    assert (push.project, push.branch, push.new, push.pusher) == ("boutique", "main", sha, "ada")
    assert push.options == ()
    assert await rig.source.refs("boutique") == {"refs/heads/main": sha}
    assert await rig.database.run(store.seen_refs, "boutique") == {"refs/heads/main": sha}
    assert rig.garbage() == []


async def test_each_ref_of_a_push_is_told(rig: Rig) -> None:
    first = await rig.client.init()
    await rig.client.git("tag", "v1")
    await rig.client.git("push", "-o", "one", "-o", "two words; $(x)", "origin", "main", "main:dev", "v1")
    assert {push.ref for push in rig.consumer.pushes} == {"refs/heads/main", "refs/heads/dev", "refs/tags/v1"}
    assert {push.options for push in rig.consumer.pushes} == {("one", "two words; $(x)")}
    second = await rig.client.commit({"a": "b"}, "Second")
    await rig.client.git("push", "origin", "main", ":dev")
    assert {(push.ref, push.old, push.new) for push in rig.consumer.pushes[3:]} == {
        ("refs/heads/main", first, second),
        ("refs/heads/dev", first, ABSENT),
    }
    assert rig.consumer.pushes[3].is_deletion or rig.consumer.pushes[4].is_deletion


async def test_there_and_back_is_told_each_time(rig: Rig) -> None:
    first = await rig.client.init()
    await rig.client.git("push", "origin", "main")
    second = await rig.client.commit({"a": "b"}, "Second")
    await rig.client.git("push", "origin", "main")
    await rig.client.git("push", "--force", "origin", f"{first}:main")
    assert [push.new for push in rig.consumer.pushes] == [first, second, first]


async def test_the_progress_streams_with_wait_only(rig: Rig) -> None:
    gate = asyncio.Event()

    async def progress() -> AsyncIterator[str]:
        yield "test: running"
        await gate.wait()
        yield "test: failed\x1b[2J: 1 of 3 tests\nsee http://x"

    async def answer(push: Push) -> PushAnswer:
        return PushAnswer(("run 1 started",), progress())

    rig.consumer.answer = answer
    await rig.client.init()
    text = await rig.client.git("push", "origin", "main")
    assert "run 1 started" in text
    assert "running" not in text
    await rig.client.commit({"a": "b"}, "Second")
    process = await rig.client.start("push", "-o", "wait", "origin", "main")
    assert process.stdout is not None
    seen = b""
    async with asyncio.timeout(10):
        while b"test: running" not in seen:
            seen += await process.stdout.readline()
    gate.set()
    rest, _ = await process.communicate()
    assert b"remote: test: failed?[2J: 1 of 3 tests" in rest
    assert b"remote: see http://x" in rest
    assert process.returncode == 0


async def test_who_stops_waiting_stops_nothing(rig: Rig) -> None:
    closed = asyncio.Event()

    async def progress() -> AsyncIterator[str]:
        try:
            yield "running"
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def answer(push: Push) -> PushAnswer:
        return PushAnswer((), progress())

    rig.consumer.answer = answer
    sha = await rig.client.init()
    process = await rig.client.start("push", "-o", "wait", "origin", "main")
    assert process.stdout is not None
    async with asyncio.timeout(10):
        while b"running" not in await process.stdout.readline():
            pass
    os.killpg(process.pid, signal.SIGTERM)  # not SIGINT: a suite run in the background ignores it
    await process.communicate()
    async with asyncio.timeout(30):
        await closed.wait()
    assert await rig.source.refs("boutique") == {"refs/heads/main": sha}
    assert len(rig.consumer.pushes) == 1


async def test_a_client_that_leaves_while_the_push_is_recorded_loses_nothing(rig: Rig) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def answer(push: Push) -> PushAnswer:
        begun.set()
        await gate.wait()
        return PushAnswer()

    rig.consumer.answer = answer
    sha = await rig.client.init()
    process = await rig.client.start("push", "origin", "main")
    async with asyncio.timeout(10):
        await begun.wait()
    os.killpg(process.pid, signal.SIGKILL)
    await process.communicate()
    await asyncio.sleep(0.1)
    gate.set()
    await rig.consumer.wait_for(1)
    await asyncio.sleep(0.1)
    assert await rig.database.run(store.seen_refs, "boutique") == {"refs/heads/main": sha}
    assert len(rig.consumer.pushes) == 1


async def test_a_server_that_stops_says_farewell_to_those_who_wait(rig: Rig) -> None:
    async def progress() -> AsyncIterator[str]:
        yield "running"
        await asyncio.Event().wait()

    async def answer(push: Push) -> PushAnswer:
        return PushAnswer((), progress())

    rig.consumer.answer = answer
    await rig.client.init()
    process = await rig.client.start("push", "-o", "wait", "origin", "main")
    assert process.stdout is not None
    async with asyncio.timeout(10):
        while b"running" not in await process.stdout.readline():
            pass
    rig.door.stop()
    async with asyncio.timeout(20):
        rest, _ = await process.communicate()
    assert b"the run goes on" in rest
    assert process.returncode == 0


@pytest.mark.parametrize("branch", ["-x", "café", "機能/一", "feature/a.b+c=d,e", "🚀", "a'b\"c$(d)`e`;f&g"])
async def test_odd_branch_names_arrive(rig: Rig, branch: str) -> None:
    sha = await rig.client.init()
    await rig.client.git("push", "origin", f"HEAD:refs/heads/{branch}")
    (push,) = rig.consumer.pushes
    assert push.branch == branch
    assert (await rig.source.commits("boutique", branch, 5))[0].sha == sha


@pytest.mark.parametrize(
    ("ref", "cause"),
    [
        ("refs/notes/x", "Halage keeps branches"),
        ("refs/heads/a\u202eb", "invisible character (U+202E)"),
        ("refs/heads/" + "x" * 200, "longer than 200"),
    ],
)
async def test_refs_that_cannot_be_used_are_refused(rig: Rig, ref: str, cause: str) -> None:
    await rig.client.init()
    output = await rig.client.try_git("push", "origin", "main", f"HEAD:{ref}")
    assert output.code == 1
    assert "pre-receive hook declined" in output.text
    assert cause in output.text.replace("\nremote: ", "")
    assert await rig.source.refs("boutique") == {}
    assert rig.consumer.pushes == []
    assert rig.garbage() == []


async def test_the_default_branch_cannot_be_deleted(rig: Rig) -> None:
    sha = await rig.client.init()
    await rig.client.git("push", "origin", "main")
    output = await rig.client.try_git("push", "origin", ":main")
    assert output.code == 1
    assert "refs/heads/main is the default branch of the project: it cannot be deleted." in output.text
    assert await rig.source.refs("boutique") == {"refs/heads/main": sha}


async def test_a_clone_checks_out_a_branch_that_exists(rig: Rig) -> None:
    await rig.client.init()
    await rig.client.git("push", "origin", "main:master", "main:develop")
    assert rig.source.repositories.default_ref("boutique") == "refs/heads/master"
    await rig.client.git("clone", rig.client.url(), "copy", cwd=rig.client.home)
    assert (rig.client.home / "copy" / "index.html").exists()


async def test_a_push_that_cannot_be_recorded_is_tried_again(rig: Rig) -> None:
    failures = iter([True, True, False])

    async def answer(push: Push) -> PushAnswer:
        if next(failures):
            raise RuntimeError("no luck")
        return PushAnswer()

    rig.consumer.answer = answer
    sha = await rig.client.init()
    text = await rig.client.git("push", "origin", "main")
    assert "It is tried again soon." in text
    await rig.consumer.wait_for(1)
    (push,) = rig.consumer.pushes
    assert push.new == sha
    assert push.is_reconciled


async def test_a_push_that_is_refused_by_its_consumer_says_why_and_is_not_repeated(rig: Rig) -> None:
    async def answer(push: Push) -> PushAnswer:
        raise Invalid("halage.toml: no such key")

    rig.consumer.answer = answer
    sha = await rig.client.init()
    assert "remote: halage: halage.toml: no such key" in await rig.client.git("push", "origin", "main")
    assert await rig.database.run(store.seen_refs, "boutique") == {"refs/heads/main": sha}
    assert await rig.source.reconcile() == []


async def test_many_pushes_at_once(rig: Rig) -> None:
    await rig.client.init()
    pushes = [rig.client.git("push", "origin", f"main:refs/heads/b{n}") for n in range(8)]
    await asyncio.gather(*pushes)
    assert sorted(push.ref for push in rig.consumer.pushes) == [f"refs/heads/b{n}" for n in range(8)]


async def test_no_descriptor_and_no_process_is_left(rig: Rig) -> None:
    await rig.client.init()
    await rig.client.git("push", "origin", "main")
    before = _open_descriptors()
    for n in range(3):
        await rig.client.git("push", "origin", f"main:b{n}")
        await rig.client.git("ls-remote", "origin")
    async with asyncio.timeout(30):
        while _open_descriptors() > before + 1:  # noqa: ASYNC110 - they tell nobody
            await asyncio.sleep(0.01)
    assert not rig.source._unstoppable


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_what_is_recorded_outlives_the_request(rig: Rig) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def answer(push: Push) -> PushAnswer:
        begun.set()
        await gate.wait()
        return PushAnswer()

    rig.consumer.answer = answer
    await rig.client.init()
    process = await rig.client.start("push", "origin", "main")
    async with asyncio.timeout(10):
        await begun.wait()
    # As uvicorn does with what still runs when its time to stop gracefully is over.
    for task in rig.server.server_state.tasks:
        task.cancel()
    await process.communicate()
    assert rig.consumer.pushes == []
    gate.set()
    await rig.consumer.wait_for(1)
    assert not rig.consumer.pushes[0].is_reconciled
