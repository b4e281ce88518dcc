"""What is taken back of a terminal that a program was cut off from."""

from halage.cli.drawing import Drawing


def left_by(*pieces: bytes) -> bytes:
    drawing = Drawing()
    for piece in pieces:
        drawing.watch(piece)
    return drawing.undo()


def test_what_was_set_and_not_taken_back_is() -> None:
    assert left_by(b"\x1b[?1049h\x1b[?25lvim") == b"\x1b[?25h\x1b[?1049l\x1b[0m"
    assert left_by(b"\x1b[?1000;1006h") == b"\x1b[?1000l\x1b[?1006l\x1b[0m"
    assert left_by(b"x\x1b[?20", b"04", b"h") == b"\x1b[?2004l\x1b[0m"


def test_a_program_that_cleaned_up_leaves_nothing_to_do() -> None:
    assert left_by(b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l") == b""
    assert left_by(b"plain \x1b[31mred", b"\x1b[?7l") == b""
    assert left_by(b"\x1b[?25h" * 1000) == b""
