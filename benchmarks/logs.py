"""Lines taken in and searched, beside grep on the same lines.

A stock of realistic lines (access log, JSON, free text) goes round until a gigabyte is reached. Taking in is
measured whole, through the sink, the write of each round, and the merging into compressed blocks
with their filters, with the process held to one core. Then six searches over the whole gigabyte:
a rare word, a common one (the newest 100 lines), one that is nowhere, the middle of a random
id, which no filter can rule out, and one and two fields of JSON lines, whose words are everywhere and
whose lines are few. The figure is the slowest. grep looks for the same in the plain file, and
behind zstd in a compressed one. By itself stands how long it takes to count every line with the common word.
"""

import asyncio
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard
from harness import Failure, median, report, say

from halage.base.clock import SystemClock
from halage.base.database import Database
from halage.base.journal import Journal
from halage.base.schema import metadata
from halage.compute.drivers.memory import MemoryDriver
from halage.monitor.inventory import WatchedEnvironment, Workload
from halage.monitor.logs.keeper import Surroundings
from halage.monitor.logs.model import FieldTest, Group, Line, Search
from halage.monitor.logs.service import Logs
from halage.monitor.logs.store import KeepLimits
from halage.monitor.metrics.model import Sample

SIZE_BYTES = 1_000_000_000
STOCK_LINES = 200_000
ROUND_LINES = 20_000
TRIES = 3
RARE, NOWHERE, COMMON = "quartermaster", "hippopotamus", "checkout"
RARE_LINES = 7
USER_1234 = '"user": {"id": 1234,'
GROUPS = {
    "access": Group.named("shop.prod/access"),
    "instances": Group.named("shop.prod/instances"),
}
ALL = [group.name for group in GROUPS.values()]
START = 1_760_000_000.0


class Nothing:
    """An inventory without environments, a writer that forgets, a sealer that is not asked."""

    async def environments(self) -> Sequence[WatchedEnvironment]:
        """None."""
        return ()

    async def workload(self) -> Workload:
        """None."""
        return Workload(0, 0, 0, 0)

    def write(self, at: float, resolution_s: int, samples: Sequence[Sample]) -> None:
        """Forget them."""

    def seal(self, text: str) -> str:
        """Not asked."""
        return text

    def open(self, sealed: str) -> str:
        """Not asked."""
        return sealed


def make_stock(chance: random.Random) -> list[tuple[str, str]]:
    """Lines as a shop writes them, each with its kind of group."""
    words = [_word(chance) for _ in range(4000)]
    return [_line(chance, words) for _ in range(STOCK_LINES)]


def _word(chance: random.Random) -> str:
    return "".join(
        chance.choice("bcdflmnrst") + chance.choice("aeiou") for _ in range(chance.randrange(1, 5))
    )


def _line(chance: random.Random, words: Sequence[str]) -> tuple[str, str]:
    kind = chance.random()
    if kind < 0.5:
        path = chance.choice(("/", "/item/", "/basket/", "/checkout/", "/search?q=", "/static/"))
        address = ".".join(str(chance.randrange(256)) for _ in range(4))
        return "access", (
            f"{address} - - [09/Oct/2025:08:{chance.randrange(60):02}:{chance.randrange(60):02} +0000] "
            f'"GET {path}{chance.choice(words)}{chance.randrange(100000)} HTTP/1.1" '
            f"{chance.choice((200, 200, 200, 200, 304, 404, 500))} {chance.randrange(90000)} "
            f'"https://shop.example.org/{chance.choice(words)}" "Mozilla/5.0 (X11; Linux x86_64)" '
            f"{chance.randrange(2000)}"
        )
    if kind < 0.8:
        return "instances", json.dumps(
            {
                "level": chance.choice(("info", "info", "info", "warning", "error")),
                "event": f"{chance.choice(words)} {chance.choice(words)}",
                "request_id": f"{chance.getrandbits(128):032x}",
                "user": {"id": chance.randrange(10000), "plan": chance.choice(("free", "paid"))},
                "duration_ms": round(chance.random() * 300, 2),
            }
        )
    return "instances", " ".join(chance.choice(words) for _ in range(chance.randrange(5, 25)))


def rounds(stock: Sequence[tuple[str, str]], plain: Path) -> Iterator[list[tuple[str, bytes]]]:
    """A second's lines at a time until there is enough; written to a plain file as well."""
    size, count = 0, 0
    planted = [int(SIZE_BYTES / (RARE_LINES + 1) * number) for number in range(1, RARE_LINES + 1)]
    with plain.open("wb") as file:
        while size < SIZE_BYTES:
            batch = []
            for index in range(count, count + ROUND_LINES):
                kind, text = stock[index % len(stock)]
                if planted and size >= planted[0]:
                    planted.pop(0)
                    kind, text = "instances", f"the {RARE} is not aboard"
                data = text.encode()
                batch.append((kind, data))
                size += len(data) + 1
            count += ROUND_LINES
            file.writelines(data + b"\n" for _, data in batch)
            yield batch


async def take_in(logs: Logs, stock: Sequence[tuple[str, str]], plain: Path) -> tuple[int, float]:
    """Everything into the store; the lines, and the seconds that it took on one core."""
    cores = os.sched_getaffinity(0)
    lines, spent = 0, 0.0
    for number, batch in enumerate(rounds(stock, plain)):
        os.sched_setaffinity(0, {min(cores)})
        begin = time.perf_counter()
        at = START + number
        for kind, group in GROUPS.items():
            logs.append(group, f"{kind}-1", [Line(at, text) for each, text in batch if each == kind])
        await logs.round()
        spent += time.perf_counter() - begin
        os.sched_setaffinity(0, cores)
        lines += len(batch)
    if logs.figures.lines != lines or logs.figures.dropped:
        raise Failure(f"{lines} lines were handed in, {logs.figures} were kept")
    return lines, spent


@dataclass(frozen=True, slots=True)
class Question:
    """A search, how many lines it finds at most and exactly (None: as many as grep), and grep's pattern."""

    search: Search
    limit: int
    expected: int | None
    pattern: str

    @classmethod
    def text(cls, text: str, expected: int | None) -> "Question":
        """A text anywhere in a line."""
        return cls(Search(text=text), 100, expected, f"-F {text}")


async def time_search(logs: Logs, question: Question) -> tuple[float, int]:
    """The median time of a search over everything, and how many lines it found."""
    times, found = [], 0
    for _ in range(TRIES):
        begin = time.perf_counter()
        page = await logs.search(ALL, question.search, limit=question.limit)
        times.append(time.perf_counter() - begin)
        if page.is_cut_off or page.problems:
            raise Failure(f"the search for {question.pattern} was cut off: {page.problems}")
        found = len(page.lines)
    return median(times), found


async def time_count(logs: Logs, seconds: int) -> tuple[float, int]:
    """The median time of counting every line with the common word, minute by minute; how many there are."""
    times, found = [], 0
    for _ in range(TRIES):
        begin = time.perf_counter()
        counts = await logs.count(ALL, Search(text=COMMON), start=START, end=START + seconds, period_s=60)
        times.append(time.perf_counter() - begin)
        if counts.is_cut_off or counts.problems:
            raise Failure(f"the count was cut off: {counts.problems}")
        found = sum(counts.counts)
    return median(times), found


def time_command(command: str) -> tuple[float, int]:
    """The median time of a shell command, and the lines that it printed."""
    times, lines = [], 0
    for _ in range(TRIES):
        begin = time.perf_counter()
        done = subprocess.run(["sh", "-c", command], capture_output=True)
        times.append(time.perf_counter() - begin)
        lines = done.stdout.count(b"\n")
    return median(times), lines


def compress(plain: Path, packed: Path) -> None:
    """The plain file by zstd, as a rotated log would be."""
    with plain.open("rb") as source, packed.open("wb") as target:
        zstandard.ZstdCompressor(level=3, threads=-1).copy_stream(source, target)


async def measure(directory: Path) -> None:
    """Everything, in one directory."""
    stock = make_stock(random.Random(7))
    middle = next(text for _, text in stock[STOCK_LINES // 2 :] if "request_id" in text)
    some_id = json.loads(middle)["request_id"][9:23]
    level, user = FieldTest.parse("level=info"), FieldTest.parse("user.id=1234")
    questions = {
        "rare": Question.text(RARE, RARE_LINES),
        "common": Question.text(COMMON, 100),
        "nowhere": Question.text(NOWHERE, 0),
        "id": Question.text(some_id, None),
        "field": Question(Search(fields=(user,)), 1000, None, f"-F '{USER_1234}'"),
        "fields": Question(Search(fields=(level, user)), 1000, None, f"'\"info\".*{USER_1234}'"),
    }
    plain, packed = directory / "plain.log", directory / "plain.log.zst"
    nothing, clock = Nothing(), SystemClock()
    database = Database(f"sqlite:///{directory}/halage.db", clock=clock, journal=Journal())
    metadata.create_all(database.engine)
    limits = KeepLimits(keep_s=10 * 366 * 86400.0)
    around = Surroundings(directory / "logs", clock, MemoryDriver(), nothing, limits)
    async with Logs(around, database, nothing, nothing) as logs:
        lines, spent = await take_in(logs, stock, plain)
        stored = sum(path.stat().st_size for path in (directory / "logs").iterdir())
        say(
            f"{lines} lines of {plain.stat().st_size / lines:.0f} bytes in {spent:.1f} s on one core, "
            f"{plain.stat().st_size / 1e6:.0f} MB became {stored / 1e6:.0f} MB"
        )
        compress(plain, packed)
        slowest = 0.0
        rows = {}
        for name, question in questions.items():
            took, found = await time_search(logs, question)
            grep_s, there, zstd_s = _peers(question.pattern, plain, packed)
            expected = there if question.expected is None else question.expected
            if found != expected:
                raise Failure(f"the search for {question.pattern} found {found} lines, not {expected}")
            rows[name] = (took, found, grep_s, zstd_s)
            slowest = max(slowest, took)
        count_s, counted = await time_count(logs, lines // ROUND_LINES + 1)
    grep_count_s, there = time_command(f"grep -cF {COMMON} {plain} | xargs seq")
    if counted != there:
        raise Failure(f"{counted} lines with {COMMON} were counted, not {there}")
    database.close()
    say("search    Halage s  lines   grep s   zstd | grep s")
    for name, (took, found, grep_s, zstd_s) in rows.items():
        say(f"{name:<8} {took:>9.3f} {found:>6} {grep_s:>8.3f} {zstd_s:>10.3f}")
    report(
        lines_per_s=round(lines / spent),
        search_1gb_s=slowest,
        stored_share=stored / plain.stat().st_size,
        count_common_s=count_s,
        grep_count_common_s=grep_count_s,
        **{f"{name}_s": row[0] for name, row in rows.items()},
        **{f"grep_{name}_s": row[2] for name, row in rows.items()},
        **{f"zstd_grep_{name}_s": row[3] for name, row in rows.items()},
    )


def _peers(pattern: str, plain: Path, packed: Path) -> tuple[float, int, float]:
    """grep's time, the lines that it found, and its time behind zstd."""
    grep_s, found = time_command(f"grep {pattern} {plain}")
    unpack = "zstd -dcq" if shutil.which("zstd") else f"{_python()} {__file__} --unpack"
    zstd_s, _ = time_command(f"{unpack} {packed} | grep {pattern}")
    return grep_s, found, zstd_s


def _python() -> str:
    import sys

    return sys.executable


def unpack(path: Path) -> None:
    """What `zstd -dc` does, for machines without it."""
    with path.open("rb") as source, open(1, "wb", closefd=False) as target:
        zstandard.ZstdDecompressor().copy_stream(source, target, write_size=1 << 20)


def main(arguments: Sequence[str], run: Callable[[Path], None]) -> None:
    """Measure in a directory of its own, and leave nothing."""
    if arguments[:1] == ["--unpack"]:
        unpack(Path(arguments[1]))
        return
    directory = Path(tempfile.mkdtemp(prefix="halage-bench-"))
    try:
        run(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:], lambda directory: asyncio.run(measure(directory)))
