"""What is decided about logs without looking at them: pieces of long lines, merges, names. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from halage.monitor.logs.errors import BadLogFilter, BadOutlet
from halage.monitor.metrics.model import OWN_PREFIXES

LONGEST_LINE = 256 * 1024
"""Longer lines are kept in pieces of that many bytes."""
CONTINUED = b" [Halage: the line goes on]"
"""Ends each piece of a long line but the last one."""
BLOCK_BYTES = 1024 * 1024
"""Raw bytes that a block is made for: small pieces are merged until they have as many."""
FINAL = 9
"""The level of a block that is merged no more."""
BROKEN = 10
"""The level of a block that cannot be read; it is left alone until its age removes it."""
MERGED_TOGETHER = 32
"""So many small blocks of one level become one of the next."""
_METRIC = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,99}")
_OUTLET = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_GROUPS = re.compile(r"[a-z0-9*./-]{1,200}")
_HEADER_NAME, _HEADER_VALUE = re.compile(r"[A-Za-z0-9-]{1,100}"), re.compile(r"[!-~]([ -~]{0,1998}[!-~])?")


def pieces_of(text: bytes) -> Iterator[bytes]:
    """A line as it is kept: its lines where it holds line breaks, long ones in marked pieces."""
    if len(text) <= LONGEST_LINE and b"\n" not in text:
        yield text
        return
    for line in text.split(b"\n"):
        for start in range(0, max(len(line), 1), LONGEST_LINE):
            is_last = start + LONGEST_LINE >= len(line)
            yield line[start : start + LONGEST_LINE] + (b"" if is_last else CONTINUED)


def find_cut(text: bytes, at: int, secrets: Sequence[bytes]) -> int:
    """Where to cut a long line: at `at`, or a little earlier so that no secret is cut in two."""
    while True:
        for secret in secrets:
            window = text[max(0, at - len(secret) + 1) : at + len(secret) - 1]
            found = window.find(secret)
            if found >= 0:
                at = max(0, at - len(secret) + 1) + found
                break
        else:
            return at


@dataclass(frozen=True, slots=True)
class OpenBlock:
    """A block that may still be merged with its neighbours."""

    id: int
    level: int
    raw_bytes: int


@dataclass(frozen=True, slots=True)
class Merge:
    """Blocks that become one, in their order, and its level."""

    ids: tuple[int, ...]
    level: int


def plan_merge(blocks: Sequence[OpenBlock]) -> Merge | None:
    """What to merge next of a group's open blocks, which are given oldest first; None for nothing.

    Enough bytes for a block: they become a final one. Many small ones of one level: they become one
    of the next level, so that a line is rewritten a few times only, however slowly lines come.
    """
    total = 0
    for count, block in enumerate(blocks, 1):
        total += block.raw_bytes
        if total >= BLOCK_BYTES:
            return Merge(tuple(each.id for each in blocks[:count]), FINAL)
    for level in sorted({block.level for block in blocks}):
        run = [block.id for block in blocks if block.level == level]
        # Levels fall towards the newest block, so those of one level are neighbours.
        if len(run) >= MERGED_TOGETHER and level < FINAL - 1:
            return Merge(tuple(run), level + 1)
    return None


def check_metric_name(name: str) -> None:
    """Return when a site's own metric may have that name. Raises BadLogFilter."""
    if not _METRIC.fullmatch(name):
        raise BadLogFilter(
            f"A metric cannot be named {name!r}: take letters, digits, `_`, `.`, `:` and `-`, a letter "
            "first, 100 characters at the most.",
            metric=name,
        )
    if name.startswith(OWN_PREFIXES):
        raise BadLogFilter(
            f"A metric cannot be named {name!r}: names that begin with {', '.join(OWN_PREFIXES)} are "
            "Halage's own.",
            metric=name,
        )


def check_outlet(name: str, groups: Sequence[str], headers: Mapping[str, str]) -> None:
    """Return when an outlet may be called so, have these groups and send these headers. Raises BadOutlet."""
    if not _OUTLET.fullmatch(name):
        raise BadOutlet(
            f"An outlet cannot be called {name!r}: take small letters, digits and `-`, 63 at the most.",
            name=name,
        )
    if not groups:
        raise BadOutlet(
            "Say which groups are sent: `*` for all, `shop.*` and `shop/builds` for those of a project."
        )
    for each in groups:
        if not _GROUPS.fullmatch(each):
            raise BadOutlet(f"{each!r} is no group: write shop.prod/instances, shop.* or `*`.", group=each)
    for header, value in headers.items():
        if not _HEADER_NAME.fullmatch(header) or not _HEADER_VALUE.fullmatch(value):
            raise BadOutlet(
                f"The header {header!r} cannot be sent: its name takes letters, digits and `-`, its value is "
                "1 to 2,000 printable characters of ASCII.",
                header=header,
            )
