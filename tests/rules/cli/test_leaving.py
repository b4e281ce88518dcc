"""The keys that leave a shell which answers no more."""

import pytest

from halage.cli.leaving import Leaving


@pytest.mark.parametrize(
    ("typed", "passed", "is_wanted"),
    [
        ([b"ls\r"], b"ls\r", False),
        ([b"~."], b"", True),
        ([b"~", b"."], b"", True),
        ([b"ls\r~.more"], b"ls\r", True),
        ([b"ls ~.\r"], b"ls ~.\r", False),
        ([b"~/bin\r"], b"~/bin\r", False),
        ([b"~~."], b"~~.", False),
        ([b"\n~", b"\r", b"~."], b"\n~\r", True),
        ([b"~"], b"", False),
    ],
)
def test_a_tilde_and_a_point_at_the_start_of_a_line(
    typed: list[bytes], passed: bytes, is_wanted: bool
) -> None:
    leaving = Leaving()
    assert b"".join(map(leaving.pass_on, typed)) == passed
    assert leaving.is_wanted == is_wanted
