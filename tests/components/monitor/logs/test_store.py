"""The store: a real SQLite file. Order, sources, merging, age and size, damage."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halage.monitor.inventory import LogLimits
from halage.monitor.logs.matching import make_matcher
from halage.monitor.logs.model import Group, Line, Search
from halage.monitor.logs.reader import LogReader
from halage.monitor.logs.rules import BLOCK_BYTES, CONTINUED
from halage.monitor.logs.schema import FILE
from halage.monitor.logs.search import Searcher
from halage.monitor.logs.store import Entry, KeepLimits, LogStore, Source

NOW = 1_700_000_000.0
SHOP = Group.named("shop.prod/instances")
ACCESS = Group.named("shop.prod/access")
ALL = ["*"]


def _entry(*texts: str, group: Group = SHOP, stream: str = "i-1", at: float = NOW) -> Entry:
    return Entry(group, stream, [Line(at, text.encode()) for text in texts])


def _texts(directory: Path, groups: list[str] = ALL) -> list[str]:
    reading = LogReader(directory).read_after(groups, 0, 10**9, 10**12)
    assert reading.problems == ()
    return [line.words for line in reading.lines]


def _merge_all(store: LogStore) -> None:
    while store.merge_once():
        pass


def test_lines_come_back_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    store.write([_entry("a", "b"), _entry("c", group=ACCESS, stream="lb")], NOW)
    store.write([_entry("d", stream="i-2"), _entry("", "e\nf", "\xff")], NOW)
    store.close()
    store = LogStore(tmp_path, KeepLimits())  # a new start goes on
    store.write([_entry("g")], NOW)
    assert _texts(tmp_path) == ["a", "b", "c", "d", "", "e", "f", "\xff", "g"]
    assert _texts(tmp_path, ["shop.prod/access"]) == ["c"]
    assert _texts(tmp_path, ["nothing/*"]) == []
    lines = LogReader(tmp_path).read_after(ALL, 0, 100).lines
    assert [line.id for line in lines] == list(range(lines[0].id, lines[0].id + len(lines)))
    assert [line.stream for line in lines[:4]] == ["i-1", "i-1", "lb", "i-2"]
    store.close()


def test_reading_goes_on_after_an_id_in_small_steps(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    for number in range(60):
        store.write([_entry(f"s{number}"), _entry(f"a{number}", group=ACCESS)], NOW)
    _merge_all(store)
    reader, after, found = LogReader(tmp_path), 0, []
    while True:
        reading = reader.read_after(ALL, after, 7)
        if reading.next_after == after:
            break
        found += [line.words for line in reading.lines]
        after = reading.next_after
    assert found == [f"{kind}{number}" for number in range(60) for kind in "sa"]
    store.close()


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_merging_changes_nothing_that_is_seen(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Beside a list in memory: random writes, merges, searches and pages."""
    directory, chance = tmp_path_factory.mktemp("logs"), random.Random(seed)
    store, reader = LogStore(directory, KeepLimits()), LogReader(directory)
    searcher = Searcher(reader)
    expected: list[tuple[str, str, float, str]] = []
    for _ in range(chance.randrange(5, 60)):
        entries = []
        for _ in range(chance.randrange(1, 4)):
            group, stream = chance.choice((SHOP, ACCESS)), f"i-{chance.randrange(3)}"
            at = NOW + chance.uniform(-3600, 3600)  # the clock jumps
            filling = "x" * chance.choice((1, 10, 3000))
            texts = [
                f"{chance.choice('abc')}{len(expected)} {filling}" for _ in range(chance.randrange(1, 30))
            ]
            entries.append(_entry(*texts, group=group, stream=stream, at=at))
        by_group = sorted(entries, key=lambda entry: [e.group for e in entries].index(entry.group))
        expected += [
            (each.group.name, each.stream, at.at, at.text.decode()) for each in by_group for at in each.lines
        ]
        store.write(entries, NOW)
        if chance.random() < 0.5:
            store.merge_once()
    for _ in range(6):
        groups = chance.choice((ALL, [SHOP.name], [ACCESS.name]))
        names = {SHOP.name, ACCESS.name} if groups == ALL else set(groups)
        text = chance.choice(("", "a", "b1", "c12 x"))
        only = chance.choice((None, "i-1"))
        start = chance.choice((None, NOW + chance.uniform(-3600, 3600)))
        search = Search(text=text, stream=only, start=start)
        wanted = [
            each
            for each in reversed(expected)
            if each[0] in names
            and text in each[3]
            and only in (None, each[1])
            and (start is None or int(each[2] * 1000) >= start * 1000)
        ]
        seen: list[tuple[str, str, str]] = []
        before, limit = None, chance.choice((1, 7, 1000)) if len(wanted) < 100 else 1000
        while True:
            page = searcher.search(groups, search, limit=limit, before=before)
            seen += [(line.group, line.stream, line.words) for line in page.lines]
            before = page.next_before
            if before is None:
                break
        assert seen == [(group, name, words) for group, name, _, words in wanted]
        counts = searcher.count(groups, search, start=NOW - 3600, end=NOW + 3600, period_s=600)
        assert sum(counts.counts) == len([each for each in wanted if NOW - 3600 <= each[2] < NOW + 3600])
    searcher.close()
    store.close()


def test_a_line_of_ten_megabytes_and_binary_come_back(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    binary = bytes(random.Random(1).randbytes(10 * 1024**2)).replace(b"\n", b"\0")
    store.write([Entry(SHOP, "i-1", [Line(NOW, binary), Line(NOW, b"after")])], NOW)
    _merge_all(store)
    lines = LogReader(tmp_path).read_after(ALL, 0, 10**6, 10**9).lines
    assert lines[-1].text == b"after"
    assert b"".join(line.text.removesuffix(CONTINUED) for line in lines[:-1]) == binary
    store.close()


# -- sources


def test_bytes_of_an_output_are_kept_once(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    first = Entry(SHOP, "i-1", [Line(NOW, b"a"), Line(NOW, b"b")], Source("i-1.1", 0, 4))
    assert store.write([first], NOW) == [first]
    assert store.write([first], NOW) == []
    store.write([Entry(SHOP, "i-1", [Line(NOW, b"c")], Source("i-1.1", 4, 6))], NOW)
    assert _texts(tmp_path) == ["a", "b", "c"]
    assert store.position("i-1.1") == 6
    assert store.position("i-2.1") == 0
    store.close()


def test_numbered_lines_that_are_told_again_are_kept_once(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    for first, texts in ((0, "ab"), (0, "abcd"), (2, "cd"), (3, "de"), (0, "a")):
        lines = [Line(NOW, text.encode()) for text in texts]
        source = Source("j-1.1", first, first + len(lines), is_numbered=True)
        store.write([Entry(SHOP, "job-1", lines, source)], NOW)
    assert _texts(tmp_path) == list("abcde")
    store.close()


def test_lines_of_a_file_that_is_read_again_from_anywhere_are_kept_once(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    lines = [Line(NOW, text) for text in (b"a", b"b", b"c", b"d")]
    places = (10, 20, 30, 40)
    for first, end in ((0, 2), (1, 3), (0, 4), (3, 4)):
        source = Source("file", 0, places[end - 1], places=places[first:end])
        store.write([Entry(SHOP, "i-1", lines[first:end], source)], NOW)
    assert _texts(tmp_path) == ["a", "b", "c", "d"]
    assert store.position("file") == 40
    store.close()


def test_positions_of_what_is_gone_are_forgotten_in_time(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    for name, at in (("old", NOW - 100), ("known", NOW - 100), ("new", NOW)):
        store.write([Entry(SHOP, "i", [Line(NOW, b"x")], Source(name, 0, 2))], at)
    store.forget_sources({"known"}, NOW - 10)
    assert [store.position(name) for name in ("old", "known", "new")] == [0, 2, 2]
    store.close()


# -- age and size


@pytest.mark.parametrize("limits", [LogLimits(keep_s=3600), LogLimits(keep_bytes=1)])
def test_an_environment_may_keep_less_than_the_server(tmp_path: Path, limits: LogLimits) -> None:
    store = LogStore(tmp_path, KeepLimits())
    dev = Group.named("shop.dev/instances")
    store.write([_entry("prod", at=NOW - 7200), _entry("dev", group=dev, at=NOW - 7200)], NOW)
    store.write([_entry("seen", group=ACCESS, at=NOW - 7200)], NOW)
    assert store.drop_old(NOW, {"shop.prod": limits, "shop.dev": LogLimits()}) == 2
    assert _texts(tmp_path) == ["dev"]
    store.close()


def test_what_is_too_old_goes_and_the_rest_stays(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits(keep_s=3600))
    store.write([_entry("old", at=NOW - 7200)], NOW)
    store.write([_entry("new", stream="i-2")], NOW)
    assert store.drop_old(NOW) == 1
    assert _texts(tmp_path) == ["new"]
    summary = LogReader(tmp_path).groups(lambda group: True)
    assert [(each.name, each.lines, each.streams) for each in summary] == [(SHOP.name, 1, ("i-2",))]
    backlog = LogReader(tmp_path).backlog(ALL, 1)
    assert backlog.is_incomplete, "whoever read up to there has missed something"
    store.close()


def test_a_file_that_is_too_large_loses_the_oldest_and_shrinks(tmp_path: Path) -> None:
    chance = random.Random(5)
    limit = 6 * 1024**2
    store = LogStore(tmp_path, KeepLimits(keep_bytes=limit))
    for number in range(24):  # random text: 24 MiB that hardly shrink
        texts = [chance.randbytes(512).hex() for _ in range(1024)]
        store.write([_entry(f"mark-{number:02}", *texts)], NOW)
        _merge_all(store)
        store.drop_old(NOW)
        assert store.used_bytes <= limit
    marks = [text for text in _texts(tmp_path) if text.startswith("mark")]
    assert marks == [f"mark-{number:02}" for number in range(24 - len(marks), 24)]
    assert 3 <= len(marks) < 20
    store.close()
    assert (tmp_path / FILE).stat().st_size < limit + 16 * 1024**2, "space is given back"


def test_space_is_given_back_at_once_while_the_file_is_open(tmp_path: Path) -> None:
    chance, file = random.Random(6), tmp_path / FILE
    store = LogStore(tmp_path, KeepLimits())
    for _ in range(40):
        store.write([_entry(*(chance.randbytes(512).hex() for _ in range(1024)))], NOW)
        _merge_all(store)
    store.close()
    before = file.stat().st_size
    store = LogStore(tmp_path, KeepLimits(keep_bytes=4 * 1024**2))
    store.drop_old(NOW)
    spare = 8 * 1024**2
    assert file.stat().st_size < 4 * 1024**2 + spare + 1024**2 < before
    store.close()


def test_one_that_floods_pushes_nobody_else_out(tmp_path: Path) -> None:
    chance = random.Random(5)
    store = LogStore(tmp_path, KeepLimits(keep_bytes=6 * 1024**2))
    quiet = Group.named("quiet.prod/instances")
    store.write([_entry("the oldest line of all", group=quiet)], NOW)
    for _ in range(12):
        store.write([_entry(*(chance.randbytes(512).hex() for _ in range(1024)))], NOW)
        _merge_all(store)
        store.drop_old(NOW)
    assert store.used_bytes <= 6 * 1024**2
    assert _texts(tmp_path, [quiet.name]) == ["the oldest line of all"]
    assert 0 < len(_texts(tmp_path, [SHOP.name])) < 12 * 1024
    store.close()


def test_a_project_is_forgotten_whole(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    other = Group.named("shop2.prod/instances")
    store.write([_entry("a"), _entry("b", group=Group.named("shop/builds")), _entry("c", group=other)], NOW)
    store.forget_place("shop", None, NOW + 5)
    assert _texts(tmp_path) == ["c"]
    store.write([_entry("again", at=NOW + 6)], NOW + 6)
    assert _texts(tmp_path) == ["c", "again"]
    store.close()


def test_of_an_environment_only_its_own_is_forgotten(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    dev, builds = Group.named("shop.dev/access"), Group.named("shop/builds")
    longer = Group.named("shop.prod2/instances")
    store.write(
        [_entry("a"), _entry("b", group=builds), _entry("c", group=dev), _entry("d", group=longer)], NOW
    )
    store.forget_place("shop", "prod", NOW + 5)
    assert _texts(tmp_path) == ["b", "c", "d"]
    store.write([_entry("late", at=NOW + 4), _entry("e", group=dev, at=NOW + 4)], NOW + 6)
    store.write([_entry("again", at=NOW + 6)], NOW + 6)
    assert _texts(tmp_path) == ["b", "c", "d", "e", "again"]
    store.close()


def test_lines_of_a_project_that_come_after_its_deletion_do_not_bring_it_back(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    store.write([_entry("before")], NOW)
    store.forget_place("shop", None, NOW + 5)
    store.close()
    store = LogStore(tmp_path, KeepLimits())  # also not after a kill -9
    late, new = Line(NOW + 4, b"late"), Line(NOW + 7, b"new")
    other = Group.named("shop2.prod/access")
    source = Source("output", 0, 10)
    written = store.write(
        [Entry(ACCESS, "lb", [late, new], source), _entry("other", group=other, at=NOW + 4)], NOW + 8
    )
    assert [line.text for entry in written for line in entry.lines] == [b"new", b"other"]
    assert _texts(tmp_path) == ["new", "other"]
    assert store.position("output") == 10, "what was left out is not read again"
    store.close()


@pytest.mark.parametrize("jump_s", [-3600.0, 3601.0])
def test_a_clock_that_is_set_costs_a_project_that_was_made_anew_no_line(
    tmp_path: Path, jump_s: float
) -> None:
    store = LogStore(tmp_path, KeepLimits())
    store.forget_place("shop", None, NOW)
    store.write([_entry("new", at=NOW + min(jump_s, 0))], NOW + jump_s)
    assert _texts(tmp_path) == ["new"]
    store.close()


# -- damage


def _damage_block(directory: Path, holding: bytes) -> int:
    """Turn over a byte in the middle of the compressed text of the block that holds this."""
    from halage.monitor.logs.block import unpack_text

    with closing(sqlite3.connect(directory / FILE)) as db:
        for block_id, text in db.execute("SELECT id, text FROM bodies").fetchall():
            if holding in unpack_text(text):
                broken = bytearray(text)
                broken[len(broken) // 2] ^= 0xFF
                db.execute("UPDATE bodies SET text=? WHERE id=?", (bytes(broken), block_id))
                db.commit()
                return int(block_id)
    raise AssertionError("no such block")


def test_a_corrupt_block_is_named_and_skipped_and_the_rest_is_readable(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    for number in range(3):
        store.write([_entry(*[f"word{number} {index}" for index in range(BLOCK_BYTES // 11)])], NOW)
        _merge_all(store)
    store.close()
    broken = _damage_block(tmp_path, b"word1 7\n")
    reader = LogReader(tmp_path)
    searcher = Searcher(reader)
    page = searcher.search(ALL, Search(text=" 77"), limit=5000)
    found = {line.words for line in page.lines}
    assert {"word0 77", "word2 77"} < found
    assert "word1 77" not in found
    assert len(page.problems) == 1
    assert f"block {broken} of shop.prod/instances" in page.problems[0]
    reading = reader.read_after(ALL, 0, 10**9, 10**12)
    found = {line.words for line in reading.lines}
    assert {"word0 77", "word2 77"} < found
    assert "word1 77" not in found
    assert f"block {broken}" in reading.problems[0]
    gap = next(line for line in reading.lines if line.is_gap)
    assert gap.words == f"[Halage: {reading.problems[0]}]", "who reads on is told in the place of the lines"
    before, after = (next(line for line in reading.lines if line.words == f"word{n} 77") for n in (0, 2))
    assert before.id < gap.id < after.id
    rest = reader.read_after(ALL, gap.id - 1, 10**9, 10**12)
    assert rest.lines[0] == gap and not any(line.is_gap for line in rest.lines[1:])
    counts = searcher.count(ALL, Search(text=" 77"), start=NOW - 10, end=NOW + 10, period_s=10)
    assert f"block {broken}" in counts.problems[0]
    searcher.close()


def test_who_reads_on_for_a_word_passes_over_blocks_without_it(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    for word in ("needle", "straw", "needle"):
        store.write([_entry(*[f"{word:6} {index:08}" for index in range(BLOCK_BYTES // 16)])], NOW)
        _merge_all(store)
    store.close()
    _damage_block(tmp_path, b"straw  00000007\n")
    grams = make_matcher(Search(text="needle")).grams
    reading = LogReader(tmp_path).read_after(ALL, 0, 10**9, 10**12, grams)
    assert reading.problems == (), "a block that cannot have it is not read"
    texts = [line.words for line in reading.lines]
    assert texts.count("needle 00000077") == 2 and "straw  00000077" not in texts


def test_a_corrupt_piece_is_not_merged_and_stops_no_merge(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    for number in range(40):
        store.write([_entry(f"piece {number} of them all, long enough to be damaged")], NOW)
    store.close()
    _damage_block(tmp_path, b"piece 5 ")
    store = LogStore(tmp_path, KeepLimits())
    _merge_all(store)
    store.write([_entry("after")], NOW)
    reading = LogReader(tmp_path).read_after(ALL, 0, 1000)
    numbers = [line.words.split()[1] for line in reading.lines[:-1] if not line.is_gap]
    assert numbers == [str(number) for number in range(40) if number != 5]
    assert len(reading.problems) == 1
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        assert db.execute("SELECT count(*) FROM blocks").fetchone()[0] < 20, "the others were merged"
    store.close()


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    store.write([_entry("lost")], NOW)
    last = LogReader(tmp_path).last_id()
    store.close()
    (tmp_path / FILE).write_bytes(b"no database at all" * 1000)
    store = LogStore(tmp_path, KeepLimits())
    store.write([_entry("new")], NOW)
    assert _texts(tmp_path) == ["new"]
    assert len(list(tmp_path.glob(f"{FILE}.damaged-*"))) == 1
    assert LogReader(tmp_path).last_id() > last, "what others go on from stays behind"
    store.close()


def test_a_file_that_breaks_under_way_is_set_aside(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    store.write([_entry("lost")], NOW)
    store.close()
    raw = bytearray((tmp_path / FILE).read_bytes())
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name='groups'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    raw[(root - 1) * size : root * size] = b"\xff" * size
    store = LogStore(tmp_path, KeepLimits())
    store.open()
    store.close()
    (tmp_path / FILE).write_bytes(bytes(raw))
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"{FILE}{suffix}").unlink(missing_ok=True)
    with pytest.raises(sqlite3.DatabaseError):
        store.write([_entry("new")], NOW)
    store.write([_entry("new")], NOW)
    assert _texts(tmp_path) == ["new"]
    store.close()
