"""Searches over a real file: what is skipped, where they end, what they see while lines are merged."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from halage.monitor.logs.matching import make_matcher
from halage.monitor.logs.model import FieldTest, Group, Line, Search
from halage.monitor.logs.reader import LogReader
from halage.monitor.logs.search import Searcher, find_far
from halage.monitor.logs.store import Entry, KeepLimits, LogStore

NOW = 1_700_000_000.0
SHOP = Group.named("shop.prod/instances")
BLOCKS, LINES = 6, 12_000


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six blocks, one needle in the third."""
    directory = tmp_path_factory.mktemp("logs")
    store = LogStore(directory, KeepLimits())
    for block in range(BLOCKS):
        texts = [
            f"GET /item/{block}/{index} 200 and some more words to fill it up{'.' * 40}"
            for index in range(LINES)
        ]
        if block == 2:
            texts[100] = "a hippopotamus passed"
        lines = [Line(NOW + block * 60, text.encode()) for text in texts]
        store.write([Entry(SHOP, "i-1", lines)], NOW)
        while store.merge_once():
            pass
    store.close()
    return directory


@pytest.fixture
def searcher(directory: Path) -> Iterator[Searcher]:
    searcher = Searcher(LogReader(directory))
    yield searcher
    searcher.close()


def _read_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    from halage.monitor.logs.reader import Snapshot

    read: list[int] = []
    original = Snapshot.packed

    def packed(self: Snapshot, block_id: int) -> tuple[bytes, bytes]:
        read.append(block_id)
        return original(self, block_id)

    monkeypatch.setattr(Snapshot, "packed", packed)
    return read


def test_blocks_without_the_word_are_not_read(searcher: Searcher, monkeypatch: pytest.MonkeyPatch) -> None:
    read = _read_blocks(monkeypatch)
    page = searcher.search([SHOP.name], Search(text="hippopotamus"), limit=10)
    assert [line.words for line in page.lines] == ["a hippopotamus passed"]
    assert page.next_before is None
    assert len(read) <= 2, "its block, and the newest piece, which has no filter yet"
    assert searcher.search([SHOP.name], Search(text="HIPPO", ignores_case=True), limit=10).lines == page.lines
    read.clear()
    assert searcher.search([SHOP.name], Search(text="rhinoceros"), limit=10).lines == ()
    assert len(read) <= 1


def test_a_search_that_has_enough_reads_no_further(
    searcher: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = _read_blocks(monkeypatch)
    page = searcher.search([SHOP.name], Search(text="GET"), limit=10)
    assert [line.words.split()[1] for line in page.lines] == [
        f"/item/{BLOCKS - 1}/{index}" for index in range(LINES - 1, LINES - 11, -1)
    ]
    assert len(read) <= 5
    read.clear()
    earlier = Search(text="GET", end=NOW + 30)
    assert searcher.search([SHOP.name], earlier, limit=1).lines[0].words.startswith("GET /item/0/")
    assert len(read) <= 2, "blocks of another time are not read"


def test_a_search_whose_time_is_over_says_where_to_go_on(directory: Path) -> None:
    ticks = iter(range(10_000))
    searcher = Searcher(LogReader(directory), elapsed=lambda: float(next(ticks)))
    search = Search(fields=(FieldTest.parse("and=some"),))
    found, pages, before = [], 0, None
    while True:
        page = searcher.search([SHOP.name], Search(text="passed"), limit=10, before=before, budget_s=0.5)
        found += [line.words for line in page.lines]
        pages += 1
        before = page.next_before
        if not page.is_cut_off:
            break
    assert found == ["a hippopotamus passed"]
    pages, before = 0, None
    while (
        page := searcher.search(
            [SHOP.name], Search(text="some", not_text="GET"), limit=10, before=before, budget_s=0.5
        )
    ).is_cut_off:
        assert page.next_before is not None
        assert before is None or page.next_before < before
        pages, before = pages + 1, page.next_before
    assert pages >= 2
    counts = searcher.count(
        [SHOP.name], Search(text="some"), start=NOW, end=NOW + 600, period_s=60, budget_s=0.5
    )
    assert counts.is_cut_off
    assert counts.counted_from is not None
    assert 0 < sum(counts.counts) < BLOCKS * LINES
    assert searcher.search([SHOP.name], search, limit=1).lines == ()
    searcher.close()


def test_a_slow_search_over_blocks_that_overlap_comes_to_its_end(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    access = Group.named("shop.prod/access")
    for number in range(32):
        line = [Line(NOW, b"line %d" % number)]
        store.write([Entry(SHOP, "i-1", line), Entry(access, "lb", line)], NOW)
    while store.merge_once():
        pass
    store.close()
    ticks = iter(range(10_000))
    searcher = Searcher(LogReader(tmp_path), elapsed=lambda: float(next(ticks)))
    found, before = [], None
    for _ in range(5):
        page = searcher.search([SHOP.name, access.name], Search(), limit=100, before=before, budget_s=0.5)
        found += [line.id for line in page.lines]
        if (before := page.next_before) is None:
            break
    searcher.close()
    assert before is None, "it went on at the same place for ever"
    assert len(found) == 64 and found == sorted(found, reverse=True)


def test_a_search_sees_one_moment_while_lines_are_merged_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from halage.monitor.logs.reader import Snapshot

    store = LogStore(tmp_path, KeepLimits())
    for number in range(40):
        store.write([Entry(SHOP, "i-1", [Line(NOW, f"line {number}".encode())])], NOW)
    original, merged = Snapshot.packed, False

    def packed(self: Snapshot, block_id: int) -> tuple[bytes, bytes]:
        nonlocal merged
        if not merged:
            merged = True
            assert store.merge_once()
            store.forget_place("shop", None, NOW)
        return original(self, block_id)

    monkeypatch.setattr(Snapshot, "packed", packed)
    searcher = Searcher(LogReader(tmp_path))
    page = searcher.search([SHOP.name], Search(), limit=100)
    assert [line.words for line in page.lines] == [f"line {number}" for number in range(39, -1, -1)]
    assert page.problems == ()
    assert searcher.search([SHOP.name], Search(), limit=100).lines == ()
    searcher.close()
    store.close()


def test_nothing_kept_is_nothing_found(tmp_path: Path) -> None:
    searcher = Searcher(LogReader(tmp_path / "none"))
    assert searcher.search(["*"], Search(), limit=10).lines == ()
    assert searcher.count(["*"], Search(), start=0, end=10, period_s=5).counts == (0, 0)
    assert LogReader(tmp_path / "none").last_id() == 0
    searcher.close()


@pytest.mark.parametrize(
    "search",
    [
        Search(text="needle"),
        Search(text="NEEDLE", ignores_case=True),
        Search(text="needle", not_text="7"),
        Search(fields=(FieldTest.parse("place=needle"),)),
        Search(fields=(FieldTest.parse("place=needle"), FieldTest.parse("level=error"))),
        Search(text="o", fields=(FieldTest.parse("place~eed"),)),
    ],
)
def test_what_is_found_is_what_matches_however_far_apart_it_is(tmp_path: Path, search: Search) -> None:
    texts: list[bytes] = []
    for gap in (0, 1, *range(4080, 4110), 5000, 9000):
        texts.append(b"o" * gap)
        texts.append(b"needle" if gap % 2 else b"a needle and a needle of %d" % gap)
        level, place = "error" if gap % 3 else "info", "needle" if gap % 5 else "hay"
        texts.append(f'{{"level": "{level}", "place": "{place}", "error": "needle", "gap": {gap}}}'.encode())
    store = LogStore(tmp_path, KeepLimits())
    store.write([Entry(SHOP, "i-1", [Line(NOW + at, text) for at, text in enumerate(texts)])], NOW)
    store.close()
    searcher, matches = Searcher(LogReader(tmp_path)), make_matcher(search).matches
    found = searcher.search([SHOP.name], search, limit=1000).lines
    wanted = [(NOW + at, text) for at, text in enumerate(texts) if matches(text)]
    assert [(line.at, line.text) for line in found] == wanted[::-1]
    assert 0 < len(wanted) < len(texts)
    searcher.close()


def test_looking_for_bytes() -> None:
    assert find_far(b"a\0b\xff", b"\0b") == 1
    assert find_far(b"a\0b\xffa", b"a", 1) == 4
    assert find_far(b"a\0b\xff", b"\0c") == -1
    assert find_far(b"", b"x") == find_far(b"x", b"x", 1) == find_far(b"x", b"x", 5000) == -1


def test_a_block_that_begins_before_what_is_searched_is_counted_in_part(tmp_path: Path) -> None:
    store = LogStore(tmp_path, KeepLimits())
    store.write([Entry(SHOP, "i-1", [Line(NOW + second, b"line") for second in range(60)])], NOW)
    searcher = Searcher(LogReader(tmp_path))
    search = Search(start=NOW + 20, end=NOW + 50)
    counts = searcher.count([SHOP.name], search, start=NOW - 200, end=NOW + 400, period_s=600)
    assert counts.counts == (30,)
    searcher.close()
    store.close()
