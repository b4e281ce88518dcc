"""What programs have made of the terminal: which modes they set, so that none stays when they are cut off."""

import re

_SET = re.compile(rb"\x1b\[\?([0-9;]{1,64})([hl])")
_LONGEST = 70
_ON_BY_ITSELF = frozenset({25})
"""The cursor: what takes it away is that the mode is off."""
_WATCHED = frozenset({1, 9, 25, 47, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1047, 1049, 2004})
"""Cursor keys, the mouse, the cursor, the other screen, pastes: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html"""


class Drawing:
    """Watches what is written to a terminal."""

    def __init__(self) -> None:
        self._changed: set[int] = set()
        self._tail = b""

    def watch(self, data: bytes) -> None:
        """Note the modes that this sets or takes back; a sequence may come in pieces."""
        text = self._tail + data
        end = 0
        for found in _SET.finditer(text):
            end = found.end()
            for word in found[1].split(b";"):
                if word and (mode := int(word)) in _WATCHED:
                    is_changed = (found[2] == b"h") != (mode in _ON_BY_ITSELF)
                    (self._changed.add if is_changed else self._changed.discard)(mode)
        self._tail = text[end:][-_LONGEST:]

    def undo(self) -> bytes:
        """What takes back all that is still set; nothing when programs have cleaned up themselves."""
        taken_back = [
            b"\x1b[?%d%s" % (mode, b"h" if mode in _ON_BY_ITSELF else b"l") for mode in sorted(self._changed)
        ]
        return b"".join([*taken_back, b"\x1b[0m"]) if taken_back else b""
