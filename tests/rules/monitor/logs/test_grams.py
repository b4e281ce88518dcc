"""Filters: what they rule out is not there, in whatever case."""

import random

from hypothesis import given
from hypothesis import strategies as st

from halage.monitor.logs.grams import SIZE_BYTES, filter_of, grams_of, may_hold

ALPHABET = 'abXY019_ .-{"é\n'


@given(st.text(ALPHABET, max_size=300), st.data())
def test_no_part_of_a_text_is_ruled_out(text: str, data: st.DataObject) -> None:
    whole = text.encode()
    start = data.draw(st.integers(0, len(whole)))
    part = whole[start : data.draw(st.integers(start, len(whole)))]
    bits = filter_of(whole)
    for wanted in (part, part.lower(), part.upper()):
        assert may_hold(bits, grams_of(wanted))


def test_no_part_is_ruled_out_on_the_seam_of_two_chunks() -> None:
    chance = random.Random(3)
    text = bytes(chance.choice(b"abcdefgh ") for _ in range(300_000))
    bits = filter_of(text)
    for seam in (128 * 1024, 256 * 1024):
        for start in range(seam - 6, seam + 3):
            assert may_hold(bits, grams_of(text[start : start + 5]))


def test_what_is_not_there_is_ruled_out() -> None:
    bits = filter_of(b"GET /basket 200\nGET /item/7 404\n" * 1000)
    assert len(bits) == SIZE_BYTES
    for absent in (b"hippopotamus", b"500", b"baskey", "élan".encode()):
        assert not may_hold(bits, grams_of(absent))


def test_what_is_too_short_to_tell_is_never_ruled_out() -> None:
    bits = filter_of(b"")
    for short in (b"", b"ab", b"a.b", b"--- =", b"zz zz"):
        assert grams_of(short) == ()
        assert may_hold(bits, grams_of(short))
