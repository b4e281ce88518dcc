"""Logs around a compute driver in memory: gathered once, masked, bounded, counted, followed, exported."""

import asyncio
import functools
import json
import threading
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from halage.base.journal import read_journal
from halage.compute.drivers.memory import MemoryDriver
from halage.monitor.logs.errors import BadLogFilter, BadSearch, NameTaken, NoSuchLogFilter
from halage.monitor.logs.gatherer import INSTANCE_BYTES, KEPT_OF_FLOOD, LAG_BYTES
from halage.monitor.logs.intake import Intake
from halage.monitor.logs.model import FieldTest, Group, KeptLine, Line, Search
from halage.monitor.logs.own import OwnLog
from halage.monitor.logs.rules import CONTINUED, LONGEST_LINE
from halage.monitor.logs.service import Logs
from halage.monitor.logs.store import Source
from halage.monitor.metrics.errors import MetricsFull
from tests.clock import ManualClock
from tests.services.monitor.logged import GROUP, ByHand, keeping, lines_of, spec_of, texts_of

ACCESS = Group.named("shop.prod/access")


@pytest.fixture
def by_hand() -> ByHand:
    return ByHand()


@pytest.fixture
async def compute(clock: ManualClock) -> MemoryDriver:
    driver = MemoryDriver(clock=clock)
    await driver.start(spec_of("i-1.1"))
    return driver


# -- what instances print


async def test_what_instances_print_is_kept_once_whatever_ends(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    by_hand.instances = ["i-1.1"]
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        compute.print("i-1.1", b"one\ntwo\r\nhal")
        await logs.round()
        await logs.round()
        assert await texts_of(logs) == ["one", "two"]
    async with keeping(data_directory, clock, compute, by_hand) as logs:  # the server starts anew
        compute.print("i-1.1", b"f\nthree\n")
        await logs.round()
        assert await texts_of(logs) == ["one", "two", "half", "three"]
        lines = await lines_of(logs)
        assert {line.stream for line in lines} == {"i-1"}
        assert lines[0].at == clock.now()


async def test_the_last_line_needs_no_end_once_its_instance_has_ended(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    by_hand.instances = ["i-1.1"]
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        compute.print("i-1.1", b"good\nby")
        await logs.round()
        compute.print("i-1.1", b"e")
        compute.end("i-1.1", 1)
        by_hand.instances, by_hand.ended = [], ["i-1.1"]
        await logs.round()
        await logs.round()
        assert await texts_of(logs) == ["good", "bye"]
        by_hand.ended = []
        await compute.remove("i-1.1")
        await logs.round()
        assert await texts_of(logs) == ["good", "bye"]


async def test_an_instance_that_is_not_started_yet_is_read_later(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    by_hand.instances = ["i-2.1"]
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        await logs.round()
        await compute.start(spec_of("i-2.1"))
        compute.print("i-2.1", b"here\n")
        await logs.round()
        assert await texts_of(logs) == ["here"]


async def test_secrets_are_masked_wherever_they_are_cut(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    by_hand.instances, by_hand.secrets = ["i-1.1"], ("hunter22", "first\nsecond", "abc")
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        compute.print("i-1.1", b"password hunt")
        await logs.round()
        compute.print("i-1.1", b"er22 abc\nsecond and first\n")
        compute.print("i-1.1", b"x" * (LONGEST_LINE - len(CONTINUED) - 4) + b"hunter22" + b"y" * 2000 + b"\n")
        await logs.round()
        found = await texts_of(logs)
        assert found[:2] == ["password [secret] abc", "[secret] and [secret]"]
        whole = "".join(text.removesuffix(CONTINUED.decode()) for text in found[2:])
        assert whole == "x" * (LONGEST_LINE - len(CONTINUED) - 4) + "[secret]" + "y" * 2000


async def test_an_instance_that_floods_loses_its_own_lines_with_a_mark(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    await compute.start(spec_of("i-2.1"))
    by_hand.instances = ["i-1.1", "i-2.1"]
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        await logs.round()
        flood = b"".join(b"%09d\n" % number for number in range(LAG_BYTES // 10 + 200_000))
        compute.print("i-1.1", flood)
        compute.print("i-2.1", b"quiet\n")
        await logs.round()
        page = await logs.search([GROUP], Search(stream="i-2"), limit=10)
        assert [line.words for line in page.lines] == ["quiet"], "the other one is heard in the same round"
        page = await logs.search([GROUP], Search(text="bytes are missing here"), limit=10)
        assert len(page.lines) == 1
        missing = int(page.lines[0].words.split()[1])
        assert missing == len(flood) - KEPT_OF_FLOOD == logs.figures.skipped_bytes
        last = (await logs.search([GROUP], Search(stream="i-1"), limit=1)).lines[0]
        assert last.words == f"{LAG_BYTES // 10 + 200_000 - 1:09d}"


async def test_a_round_takes_a_bounded_piece_and_the_next_goes_on(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    by_hand.instances = ["i-1.1"]
    count = 3 * INSTANCE_BYTES // 10
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        compute.print("i-1.1", b"".join(b"%09d\n" % number for number in range(count)))
        await logs.round()
        taken = logs.figures.lines
        assert 0 < taken < count * 2 // 3
        for _ in range(9):
            await logs.round()
        reading = [line.words async for piece in logs.export([GROUP], Search()) for line in piece]
        assert reading == [f"{number:09d}" for number in range(count)]


async def test_a_clock_that_jumps_keeps_the_order(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    by_hand.instances = ["i-1.1"]
    start = clock.now()
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        for text, jump in (("before", 3600), ("forward", -7200), ("back", 3600)):
            compute.print("i-1.1", f"{text}\n".encode())
            await logs.round()
            clock.jump(jump)
        assert await texts_of(logs) == ["before", "forward", "back"]
        found = await lines_of(logs, search=Search(start=start + 3000, end=start + 4000))
        assert [line.words for line in found] == ["forward"]
        found = await lines_of(logs, search=Search(end=start - 3000))
        assert [line.words for line in found] == ["back"]


# -- what is handed in


async def test_too_much_at_once_costs_lines_and_leaves_a_mark(clock: ManualClock) -> None:
    intake = Intake(clock.now, most_bytes=10_000)
    for _ in range(5):
        intake.append(ACCESS, "lb", [Line(1.0, b"x" * 3900)])
    entries = intake.take()
    assert [len(entry.lines) for entry in entries] == [1, 1, 1]
    assert b"3 lines were dropped here" in entries[-1].lines[0].text
    assert intake.figures.dropped == 3
    intake.put_back(entries)
    assert intake.take() == entries
    intake.settle(entries, entries)
    assert intake.append(ACCESS, "lb", [Line(1.0, b"x" * 3900)])


async def test_a_disk_that_stays_full_leaves_one_mark_and_takes_no_more_memory(clock: ManualClock) -> None:
    intake = Intake(clock.now, most_bytes=10_000)
    for _ in range(1000):
        intake.append(ACCESS, "lb", [Line(1.0, b"x" * 3900)])
        intake.append(Group("", None), "", (), Source("access-log:7", 0, 1))
        entries = intake.take()
        assert len(entries) <= 10
        intake.put_back(entries)
    entries = intake.take()
    assert [b"998 lines" in entry.lines[0].text for entry in entries if entry.lines] == [False, False, True]
    intake.settle(entries, entries)
    assert intake.take() == [], "what was told is told once"
    for _ in range(2):
        assert intake.append(ACCESS, "lb", [Line(1.0, b"x" * 3900)]), "all room is given back"


async def test_lines_that_are_told_again_are_kept_and_counted_once(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    builds = Group.named("shop/builds")
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        await logs.filters.create(builds, "warnings", Search(text="warning"), actor="ada")
        for _ in range(3):
            for number, text in enumerate((b"warning", b"two", b"three")):
                logs.append_numbered(builds, "job-1", "j-1.1", number, [Line(clock.now(), text)])
            await logs.round()
        assert await texts_of(logs, builds.name) == ["warning", "two", "three"]
        assert logs.figures.lines == 3
        await clock.advance(10)
        await logs.round()
    assert [sample.value for _, sample in by_hand.samples if sample.key.name == "warnings"] == [1.0]


async def test_halages_own_log_is_a_group_and_never_turns_in_a_circle(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    own = OwnLog()
    log = structlog.wrap_logger(
        structlog.ReturnLogger(), processors=[structlog.processors.add_log_level, own, _keep]
    )
    log.info("early", action="x:Y")
    async with keeping(data_directory, clock, compute, by_hand) as logs:

        class Talkative:
            def append(self, *args: object) -> None:
                log.warning("said while a line is handed over")
                logs.append(*args)  # type: ignore[arg-type]

        own.connect(Talkative())
        log.error("late", subject=Path("/x"))
        try:
            raise ValueError("for the record")
        except ValueError:
            log.exception("broken")
        await logs.round()
        own.disconnect()
        log.info("after the end")
        lines = [json.loads(text) for text in await texts_of(logs, "halage")]
        assert [line["event"] for line in lines] == ["early", "late", "broken"]
        assert lines[0] == {"action": "x:Y", "event": "early", "level": "info"}
        assert lines[1]["subject"].endswith("'/x')")
        assert "ValueError: for the record" in lines[2]["exception"]
        found = await logs.search(["halage"], Search(fields=(FieldTest.parse("level=error"),)), limit=10)
        assert len(found.lines) == 2


def _keep(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    return ""


# -- filters


async def test_a_filter_counts_in_a_metric_from_its_making_on(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        logs.append(ACCESS, "lb", [Line(clock.now(), b'{"status": 500}')])
        await logs.round()
        search = Search(fields=(FieldTest.parse("status~5"),))
        made = await logs.filters.create(ACCESS, "failures", search, actor="ada")
        assert (made.project, made.environment, made.search) == ("shop", "prod", search)
        begin = clock.now()
        for status in (500, 200, 503):
            logs.append(ACCESS, "lb", [Line(clock.now(), b'{"status": %d}' % status)])
        await logs.round()
        await clock.advance(10)
        await logs.round()
        await clock.advance(10)
        await logs.round()
        counted = [(at, s.value, s.key) for at, s in by_hand.samples if s.key.name == "failures"]
        assert [(at, value) for at, value, _ in counted] == [(begin, 2.0), (begin + 10, 0.0)]
        assert str(counted[0][2]) == 'failures{environment="prod",project="shop"}'
        lines = [s.value for at, s in by_hand.samples if s.key.name == "halage_log_lines"]
        assert sum(float(str(value)) for value in lines) == 4.0
        await logs.filters.delete(made.id, actor="ada")
        with pytest.raises(NoSuchLogFilter):
            await logs.filters.get(made.id)


async def test_a_changed_filter_counts_what_is_looked_for_now_in_the_same_metric(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        made = await logs.filters.create(ACCESS, "failures", Search("old"), actor="ada")
        changed = await logs.filters.change(made.id, Search("new"), actor="ada")
        assert changed == replace(made, search=Search("new"))
        await logs.round()
        logs.append(ACCESS, "lb", [Line(clock.now(), text) for text in (b"old", b"new one", b"new two")])
        await logs.round()
        await clock.advance(10)
        await logs.round()
        assert [sample.value for _, sample in by_hand.samples if sample.key.name == "failures"] == [2.0]
        with pytest.raises(NoSuchLogFilter):
            await logs.filters.change(made.id + 1, Search(), actor="ada")
        with pytest.raises(BadSearch):
            await logs.filters.change(made.id, Search("two\nlines"), actor="ada")


async def test_the_journal_has_what_a_filter_counts(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        search = Search(text="failed", fields=(FieldTest.parse("status=500"),))
        made = await logs.filters.create(ACCESS, "failures", search, actor="ada")
        await logs.filters.delete(made.id, actor="bob")
        entries = await logs.filters._database.run(lambda tx: read_journal(tx.connection))
    shown = {"metric": "failures", "group": "shop.prod/access", "text": "failed", "fields": ["status=500"]}
    assert [(each.action, each.actor, each.before, each.after) for each in entries] == [
        ("monitor:SetLogFilter", "ada", None, shown),
        ("monitor:DeleteLogFilter", "bob", shown, None),
    ]
    assert {(each.project, each.at, each.origin) for each in entries} == {("shop", clock.now(), "halage")}


async def test_filters_are_refused_for_a_reason(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    builds = Group.named("shop/builds")
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        for group in (ACCESS, builds):
            await logs.filters.create(group, "failures", Search(), actor="ada")
            with pytest.raises(NameTaken, match="failures"):
                await logs.filters.create(group, "failures", Search(text="x"), actor="ada")
        with pytest.raises(BadLogFilter):
            await logs.filters.create(ACCESS, "instance_cpu_percent", Search(), actor="ada")
        with pytest.raises(BadSearch):
            await logs.filters.create(ACCESS, "x", Search(text="a\nb"), actor="ada")
        assert len(await logs.filters.list("shop")) == 2
        assert await logs.filters.list("other") == []
        await logs.forget_place("shop", "prod")
        assert [each.group for each in await logs.filters.list()] == ["shop/builds"]
        await logs.forget_place("shop")
        assert await logs.filters.list() == []


async def test_metrics_that_are_full_cost_no_line(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    class Full(ByHand):
        def write(self, *args: object) -> None:
            raise MetricsFull

    async with keeping(data_directory, clock, compute, Full()) as logs:
        for _ in range(3):
            logs.append(ACCESS, "lb", [Line(clock.now(), b"kept")])
            await logs.round()
            await clock.advance(10)
        assert await texts_of(logs, ACCESS.name) == ["kept"] * 3


# -- following and export


async def test_followers_see_each_line_once_and_go_on_where_they_were(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        logs.append(ACCESS, "lb", [Line(clock.now(), b"a0")])
        await logs.round()
        seen: list[KeptLine] = []
        after = await logs.last_id()

        async def follow(start: int) -> None:
            async for line in logs.follow([ACCESS.name, GROUP], Search(text="a"), start):
                seen.append(line)

        for number in range(1, 4):
            task = asyncio.get_running_loop().create_task(follow(after))
            logs.append(ACCESS, "lb", [Line(clock.now(), f"a{number}".encode()), Line(clock.now(), b"b")])
            logs.append(Group.named("other.prod/access"), "lb", [Line(clock.now(), b"a")])
            await logs.round()
            await _until(functools.partial(_has, seen, number))
            task.cancel()
            await asyncio.wait({task})
            after = seen[-1].id
        assert [line.words for line in seen] == ["a1", "a2", "a3"]


def _has(lines: list[KeptLine], count: int) -> bool:
    return len(lines) == count


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_an_export_ends_with_what_was_kept_at_its_beginning(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        logs.append(ACCESS, "lb", [Line(clock.now(), f"{number}".encode()) for number in range(12_000)])
        await logs.round()
        found: list[str] = []
        async for piece in logs.export([ACCESS.name], Search(text="7")):
            if not found:
                logs.append(ACCESS, "lb", [Line(clock.now(), b"7 too late")])
                await logs.round()
            found += [line.words for line in piece]
        assert found == [str(number) for number in range(12_000) if "7" in str(number)]


async def test_a_search_needs_no_thread_that_others_wait_for(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(1) as only:
        asyncio.get_running_loop().set_default_executor(only)
        try:
            only.submit(over.wait)
            async with keeping(data_directory, clock, compute, by_hand) as logs, asyncio.timeout(20):
                assert await texts_of(logs) == []
                counts = await logs.count([GROUP], Search(), start=0.0, end=60.0, period_s=60)
                assert counts.counts == (0,)
        finally:
            over.set()


async def test_counts_have_whole_periods_and_not_too_many(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    start = clock.now()
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        for number in range(10):
            logs.append(ACCESS, "lb", [Line(start + number * 60, f"n{number}".encode())] * (number + 1))
        await logs.round()

        async def count(search: Search, period_s: float, end: float = start + 600) -> list[int]:
            counts = await logs.count([ACCESS.name], search, start=start, end=end, period_s=period_s)
            assert counts.start % counts.period_s == 0
            return [each for each in counts.counts if each]

        assert await count(Search(), 60) == list(range(1, 11))
        assert sum(await count(Search(), 300)) == 55
        assert await count(Search(text="n9"), 300) == [10]
        assert len((await logs.count([ACCESS.name], Search(), start=0, end=start, period_s=1)).counts) <= 1000
        groups = await logs.groups(lambda group: group.project == "shop")
        assert [(each.name, each.lines) for each in groups] == [(ACCESS.name, 55)]


async def test_what_goes_wrong_is_told_once_and_lines_wait(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    (data_directory / "logs").write_text("a file where the directory should be")
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        logs.append(ACCESS, "lb", [Line(clock.now(), b"waits")])
        with structlog.testing.capture_logs() as said:
            await logs.round()
            await logs.round()
            assert [each["event"] for each in said] == ["logs wait"]
            (data_directory / "logs").unlink()
            await logs.round()
        assert said[-1]["event"] == "logs are kept again"
        assert await texts_of(logs, ACCESS.name) == ["waits"]


async def test_what_is_too_old_goes_when_the_server_starts_and_a_silent_instance_is_not_read_again(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    by_hand.instances = ["i-1.1"]
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        compute.print("i-1.1", b"long ago\n")
        await logs.round()
    await clock.advance(40 * 86400)
    by_hand.instances = []  # not known yet
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        assert await texts_of(logs) == ["long ago"]
        await logs.round()
        assert await texts_of(logs) == []
        by_hand.instances = ["i-1.1"]
        compute.print("i-1.1", b"again\n")
        await logs.round()
        assert await texts_of(logs) == ["again"]


async def test_rounds_go_on_by_themselves(
    data_directory: Path, clock: ManualClock, compute: MemoryDriver, by_hand: ByHand
) -> None:
    by_hand.instances = ["i-1.1"]
    async with keeping(data_directory, clock, compute, by_hand) as logs:
        task = asyncio.get_running_loop().create_task(logs.run())
        for number in range(1, 3):
            compute.print("i-1.1", b"line\n")
            await _kept(logs, clock, number)
        task.cancel()
        await asyncio.wait({task})


async def _kept(logs: Logs, clock: ManualClock, count: int) -> None:
    async with asyncio.timeout(20):
        while len(await texts_of(logs)) < count:
            await clock.advance(1)
            await asyncio.sleep(0.005)
