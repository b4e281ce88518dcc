"""Matching: text, its absence, and fields of JSON lines."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.monitor.logs.errors import BadSearch
from halage.monitor.logs.grams import filter_of, may_hold
from halage.monitor.logs.matching import make_matcher
from halage.monitor.logs.model import Comparison, FieldTest, Search

LINE = (
    b'{"level": "error", "status": 500, "user": {"id": 7, "name": "Zo\\u00eb"}, "a.b": "dotted", '
    b'"took": 1.50, "ok": false, "none": null, "big": 12345678901234567890, "path": "\\/check\\/out", '
    b'"list": [1, "two"]}'
)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (("level=error",), True),
        (("level=err",), False),
        (("level~err",), True),
        (("level=ERROR",), False),
        (("status=500",), True),
        (("status=50",), False),
        (("status~50",), True),
        (("took=1.50",), True),
        (("took=1.5",), False),
        (("ok=false",), True),
        (("none=null",), True),
        (("big=12345678901234567890",), True),
        (("user.id=7",), True),
        (("user.id=8",), False),
        (("user.nothing=7",), False),
        (("user.id.deeper=7",), False),
        (("a.b=dotted",), True),
        (("user.name=Zoë",), True),
        (("path=/check/out",), True),
        (("list~two",), True),
        (("level=error", "status=500"), True),
        (("level=error", "status=200"), False),
        (("id=7",), False),
    ],
)
def test_fields(fields: tuple[str, ...], expected: bool) -> None:
    search = Search(fields=tuple(FieldTest.parse(each) for each in fields))
    matcher = make_matcher(search)
    assert matcher.matches(LINE) is expected
    if expected:  # then nothing that decides beforehand may rule it out
        assert all(needle in LINE for needle in matcher.needles)
        assert may_hold(filter_of(LINE), matcher.grams)


@pytest.mark.parametrize(
    "line",
    [
        b"level=error",
        b"",
        b"{",
        b'{"level": "error"',
        b'["level"]',
        b'"error"',
        b"\xff{}\xff",
        b"{" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object_has_no_fields(line: bytes) -> None:
    assert not make_matcher(Search(fields=(FieldTest.parse("level=error"),))).matches(line)


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (Search(), True),
        (Search(text="error"), True),
        (Search(text="Error"), False),
        (Search(text="Error", ignores_case=True), True),
        (Search(not_text="error"), False),
        (Search(not_text="ERROR"), True),
        (Search(not_text="ERROR", ignores_case=True), False),
        (Search(text="level", not_text="warning"), True),
        (Search(fields=(FieldTest.parse("level=ERROR"),), ignores_case=True), True),
    ],
)
def test_text(search: Search, expected: bool) -> None:
    assert make_matcher(search).matches(LINE) is expected


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12), st.booleans())
def test_a_field_that_is_there_is_never_ruled_out_beforehand(value: str, is_ascii: bool) -> None:
    line = json.dumps({"some": {"field": value}}, ensure_ascii=is_ascii).encode()
    matcher = make_matcher(Search(fields=(FieldTest("some.field", Comparison.EQUALS, value),)))
    assert matcher.matches(line)
    assert all(needle in line for needle in matcher.needles)
    assert may_hold(filter_of(line), matcher.grams)


def test_what_cannot_be_searched_for_is_refused() -> None:
    with pytest.raises(BadSearch):
        make_matcher(Search(text="two\nlines"))
    with pytest.raises(BadSearch):
        make_matcher(Search(fields=(FieldTest.parse("a=b"),) * 21))
    with pytest.raises(ValueError, match="NAME=VALUE"):
        FieldTest.parse("no sign")
