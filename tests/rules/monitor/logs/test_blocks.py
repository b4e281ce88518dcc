"""Blocks: what goes in comes out, and what is damaged says so."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.monitor.logs.block import (
    FAST,
    SMALL,
    Block,
    Meta,
    join_texts,
    merge,
    pack_meta,
    pack_text,
    unpack_meta,
    unpack_text,
)
from halage.monitor.logs.errors import BrokenBlock

LINES = st.lists(st.tuples(st.integers(-(2**45), 2**45), st.integers(1, 5)), min_size=1, max_size=40)


def _meta(first: int, lines: list[tuple[int, int]]) -> Meta:
    times, streams = array("q", (at for at, _ in lines)), array("q", (stream for _, stream in lines))
    return Meta([(first, len(lines))], times, streams)


@given(LINES, st.integers(1, 2**50))
def test_what_is_known_of_lines_comes_back(lines: list[tuple[int, int]], first: int) -> None:
    meta = _meta(first, lines)
    assert unpack_meta(pack_meta(meta, FAST)) == meta


@given(LINES, LINES, st.booleans())
def test_merged_blocks_are_one_after_the_other(
    early: list[tuple[int, int]], late: list[tuple[int, int]], has_gap: bool
) -> None:
    second = 10 + len(early) + (5 if has_gap else 0)
    whole = merge([Block(_meta(10, early), b"a\n"), Block(_meta(second, late), b"b\n")])
    assert whole.text == b"a\nb\n"
    assert len(whole.meta.spans) == (2 if has_gap else 1)
    ids = [*range(10, 10 + len(early)), *range(second, second + len(late))]
    again = unpack_meta(pack_meta(whole.meta, SMALL))
    assert list(again.ids()) == [again.id_of(index) for index in range(len(ids))] == ids
    assert [again.index_of(number) for number in ids] == list(range(len(ids)))
    assert again.index_of(10 + len(early)) == len(early)
    assert again.index_of(10**6) == len(ids)


@given(st.lists(st.binary(max_size=50).filter(lambda text: b"\n" not in text), min_size=1))
def test_text_comes_back_byte_by_byte(texts: list[bytes]) -> None:
    text = unpack_text(pack_text(join_texts(texts), FAST))
    assert text.split(b"\n")[:-1] == texts


def test_a_damaged_block_is_told_of() -> None:
    packed = bytearray(pack_text(b"one line\n" * 100, SMALL))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(BrokenBlock, match="damaged"):
        unpack_text(bytes(packed))
    with pytest.raises(BrokenBlock, match="damaged"):
        unpack_meta(pack_text(b"far too short", FAST))
    with pytest.raises(BrokenBlock, match="version"):
        unpack_meta(pack_text(b"\x63\0\0\0" + bytes(40), FAST))
