"""Which groups of three characters a block's words have: what is not there need not be looked for.

A word is a run of letters, digits, `_` and bytes above 127; letters count as lower-case ones. Each
of its groups of three characters is one bit of 64,000 (40 classes of characters, cubed). The bits
of a text that is searched for must all be set in a block that has it, in whatever case. This is
the trigram index of Zobel, Moffat and Sacks-Davis ("Searching large lexicons for partially
specified terms using compressed inverted files", VLDB 1993), one bitmap a block.
"""

import string

_CLASSES = 40
SIZE_BYTES = _CLASSES**3 // 8
_CHUNK = 128 * 1024
"""Words are collected from that much text at once: no single step holds other threads up for long."""
_SEPARATOR = 255


def _class_of(byte: int) -> int:
    char = chr(byte)
    if char in string.ascii_letters:
        return ord(char.lower()) - ord("a")
    if char in string.digits:
        return 26 + byte - ord("0")
    if char == "_":
        return 36
    return 37 + byte % 3 if byte >= 128 else _SEPARATOR


# Folded text keeps words apart by blanks: what is no part of a word becomes one.
_FOLD = bytes(ord(chr(byte).lower()) if _class_of(byte) < _CLASSES else 32 for byte in range(128)) + bytes(
    range(128, 256)
)
_TO_CLASS = bytes(_class_of(byte) for byte in range(256))


def filter_of(text: bytes) -> bytes:
    """The bitmap of a text."""
    words: set[bytes] = set()
    for start in range(0, len(text), _CHUNK):
        # The chunk before lends its last two bytes: no group of three is lost on the seam.
        words.update(text[max(0, start - 2) : start + _CHUNK].translate(_FOLD).split())
    seen: set[tuple[int, int, int]] = set()
    batch: list[bytes] = []
    size = 0
    for word in words:
        batch.append(word)
        size += len(word) + 1
        if size >= _CHUNK:
            seen |= _grams(b" ".join(batch))
            batch, size = [], 0
    seen |= _grams(b" ".join(batch))
    bits = bytearray(SIZE_BYTES)
    for bit in _bits(seen):
        bits[bit >> 3] |= 1 << (bit & 7)
    return bytes(bits)


def grams_of(text: bytes) -> tuple[int, ...]:
    """The bits that a block must have to hold the text; none for a text too short to tell."""
    return tuple(_bits(_grams(text.translate(_FOLD))))


def may_hold(bits: bytes, grams: tuple[int, ...]) -> bool:
    """Whether a block with this bitmap may hold a text with these grams."""
    return all(bits[gram >> 3] >> (gram & 7) & 1 for gram in grams)


def _grams(folded: bytes) -> set[tuple[int, int, int]]:
    classes = folded.translate(_TO_CLASS)
    return set(zip(classes, classes[1:], classes[2:], strict=False))


def _bits(grams: set[tuple[int, int, int]]) -> list[int]:
    return [
        (first * _CLASSES + second) * _CLASSES + third
        for first, second, third in grams
        if first < _CLASSES and second < _CLASSES and third < _CLASSES
    ]
