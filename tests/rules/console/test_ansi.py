"""Terminal output becomes safe HTML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halage.web.console.ansi import strip_terminal, terminal_to_html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain", "plain"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("\x1b[31mred\x1b[0m plain", '<span class="ansi-red">red</span> plain'),
        ("\x1b[1;32mok\x1b[22m", '<span class="ansi-bold ansi-green">ok</span>'),
        ("\x1b[91mbright\x1b[39mnot", '<span class="ansi-red">bright</span>not'),
        ("\x1b[31ma\x1b[32mb", '<span class="ansi-red">a</span><span class="ansi-green">b</span>'),
        ("\x1b[38;5;31mx", "x"),
        ("\x1b[38;2;1;2;31mx", "x"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[2Kcleared\x1b[1A", "cleared"),
        ("10%\r50%\r100%", "100%"),
        ("windows\r", "windows"),
        ("bell\x07 null\x00", "bell null"),
        ('\x1b[31m"><img src=x>', '<span class="ansi-red">&#34;&gt;&lt;img src=x&gt;</span>'),
    ],
)
def test_terminal_to_html(text: str, html: str) -> None:
    assert str(terminal_to_html(text)) == html


@given(st.text(alphabet=st.sampled_from('\x1b[]0123456789;:mKH<>"&a\r\n\x07 ?')))
def test_nothing_of_a_terminal_and_no_foreign_tag_is_left(text: str) -> None:
    html = str(terminal_to_html(text))
    assert "\x1b" not in html
    bare = html.replace("</span>", "")
    for part in bare.split("<")[1:]:
        assert part.startswith('span class="ansi-')
    assert "\x1b" not in strip_terminal(text)
