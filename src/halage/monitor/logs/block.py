"""Blocks of lines: the text apart from what is known of each line, so that a search is one look for bytes.

`text` is every line with a line break behind it, compressed by zstd with a checksum. `meta` (zstd
as well) says of each line its number, time and stream: a head of counts, the spans of numbers, the
ids of the streams, the times as differences in milliseconds, and an index into the streams for
each line where there is more than one.
"""

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import zstandard

from halage.monitor.logs.errors import BrokenBlock

FAST, SMALL = 1, 3
"""Levels of compression: of the pieces of each round, and of merged blocks."""
_HEAD = struct.Struct("<IIIIq")
"""Version, lines, spans, streams, first time (ms)."""
_VERSION = 1
_LARGEST_TEXT = 64 * 1024**2
_LARGEST_META = 256 * 1024**2


@dataclass(slots=True)
class Meta:
    """What is known of the lines of a block, line by line."""

    spans: list[tuple[int, int]]
    """(first id, number of lines): the ids of its lines, in order."""
    times_ms: "array[int]"
    streams: "array[int]"
    """The id of each line's stream."""

    @property
    def count(self) -> int:
        """How many lines there are."""
        return len(self.times_ms)

    def ids(self) -> Iterator[int]:
        """The id of each line."""
        for first, count in self.spans:
            yield from range(first, first + count)

    def id_of(self, index: int) -> int:
        """The id of one line, by how many are before it."""
        for first, count in self.spans:
            if index < count:
                return first + index
            index -= count
        raise IndexError(index)

    def index_of(self, line_id: int) -> int:
        """How many lines have a lower id."""
        before = 0
        for first, count in self.spans:
            if line_id < first + count:
                return before + max(0, line_id - first)
            before += count
        return before


@dataclass(slots=True)
class Block:
    """Lines of one group in the order in which they came in."""

    meta: Meta
    text: bytes


def join_texts(texts: Sequence[bytes]) -> bytes:
    """Lines (without line breaks in them) as the text of a block."""
    return b"\n".join(texts) + b"\n" if texts else b""


def merge(blocks: Sequence[Block]) -> Block:
    """Neighbouring blocks as one."""
    spans: list[tuple[int, int]] = []
    times, streams = array("q"), array("q")
    for block in blocks:
        for first, count in block.meta.spans:
            if spans and sum(spans[-1]) == first:
                spans[-1] = (spans[-1][0], spans[-1][1] + count)
            else:
                spans.append((first, count))
        times.extend(block.meta.times_ms)
        streams.extend(block.meta.streams)
    return Block(Meta(spans, times, streams), b"".join(block.text for block in blocks))


def pack_text(text: bytes, level: int) -> bytes:
    """The text as it is stored."""
    return zstandard.ZstdCompressor(level=level, write_checksum=True).compress(text)


def unpack_text(packed: bytes) -> bytes:
    """The text again. Raises BrokenBlock."""
    try:
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=_LARGEST_TEXT)
    except zstandard.ZstdError as error:
        raise BrokenBlock(f"its text is damaged ({error})") from error


def pack_meta(meta: Meta, level: int) -> bytes:
    """What is known of the lines, as it is stored."""
    times = meta.times_ms
    first_ms = times[0] if times else 0
    deltas = array("q", (now - before for before, now in zip(times[:1] + times, times, strict=False)))
    known = sorted(set(meta.streams))
    spans = array("q", (number for span in meta.spans for number in span))
    parts = [
        _HEAD.pack(_VERSION, len(times), len(meta.spans), len(known), first_ms),
        spans.tobytes(),
        array("q", known).tobytes(),
        deltas.tobytes(),
    ]
    if len(known) > 1:
        place = {stream: index for index, stream in enumerate(known)}
        parts.append(array("I", map(place.__getitem__, meta.streams)).tobytes())
    return pack_text(b"".join(parts), level)


def unpack_meta(packed: bytes) -> Meta:
    """What is known of the lines. Raises BrokenBlock."""
    try:
        raw = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_LARGEST_META)
        version, count, span_count, stream_count, first_ms = _HEAD.unpack_from(raw)
        if version != _VERSION:
            raise BrokenBlock(f"its version {version} is not known")
        at = _HEAD.size
        spans, at = _numbers("q", raw, at, 2 * span_count)
        known, at = _numbers("q", raw, at, stream_count)
        deltas, at = _numbers("q", raw, at, count)
        if stream_count > 1:
            places, at = _numbers("I", raw, at, count)
            streams = array("q", map(known.__getitem__, places))
        else:
            streams = known * count
    except (zstandard.ZstdError, struct.error, ValueError, IndexError) as error:
        raise BrokenBlock(f"its table of lines is damaged ({error})") from error
    times = array("q", accumulate(deltas, initial=first_ms))
    del times[:1]
    return Meta(list(zip(spans[::2], spans[1::2], strict=True)), times, streams)


def _numbers(kind: str, raw: bytes, at: int, count: int) -> "tuple[array[int], int]":
    numbers: array[int] = array(kind)
    end = at + count * numbers.itemsize
    if end > len(raw):
        raise ValueError("it is too short")
    numbers.frombytes(raw[at:end])
    return numbers, end
