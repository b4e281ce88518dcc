"""Follows what every instance prints. Bounded: one that floods loses some of its own lines, with a mark.

An instance's output is a file that only grows; the position up to which it is kept is stored in the
transaction that keeps its lines, so after a kill -9 reading goes on right there: nothing is lost and
nothing doubled. A line without its end waits for it, until the instance has ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from halage.compute.driver import ComputeDriver
from halage.compute.errors import NoSuchUnit
from halage.monitor.inventory import WatchedEnvironment
from halage.monitor.logs.intake import Intake
from halage.monitor.logs.masking import Mask
from halage.monitor.logs.model import Group, Line
from halage.monitor.logs.rules import CONTINUED, LONGEST_LINE, find_cut
from halage.monitor.logs.store import Source

READ_BYTES = 256 * 1024
"""Read at once; other work has its turn after each."""
INSTANCE_BYTES = 2 * 1024**2
"""Taken of one instance in a round."""
ROUND_BYTES = 8 * 1024**2
"""Taken of all instances in a round."""
LAG_BYTES = 32 * 1024**2
"""An instance that is further ahead of us than that floods: the middle is skipped."""
KEPT_OF_FLOOD = 1024**2
"""The end of a flood that is kept."""


@dataclass(slots=True)
class _Output:
    """How far one output was read. `rest` are the bytes before `offset` that are no whole line yet."""

    offset: int
    rest: bytes = b""
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class _Unit:
    """One output, and where its lines belong."""

    id: str
    group: Group
    stream: str
    mask: Mask
    has_ended: bool


class Gatherer:
    """Reads the outputs of all instances, a bounded piece of each in a round."""

    def __init__(self, compute: ComputeDriver, intake: Intake) -> None:
        self._compute = compute
        self._intake = intake
        self._outputs: dict[str, _Output] = {}
        self._turn = 0
        self._environments: Sequence[WatchedEnvironment] = ()
        self._units: list[_Unit] = []
        self._units_by_place: dict[tuple[str, str], _UnitsOf] = {}

    @property
    def known(self) -> frozenset[str]:
        """The units of the last round."""
        return frozenset(self._outputs)

    def unknown(self, environments: Sequence[WatchedEnvironment]) -> list[str]:
        """Units whose stored position is to be told (`learn`) before they are read."""
        return [unit.id for unit in self._units_of(environments) if unit.id not in self._outputs]

    def learn(self, unit_id: str, position: int) -> None:
        """Say up to where a unit is kept."""
        self._outputs.setdefault(unit_id, _Output(position))

    async def gather(self, environments: Sequence[WatchedEnvironment], now: float) -> None:
        """One round: what is new of each learned unit, at most ROUND_BYTES, each time another one first."""
        units = [unit for unit in self._units_of(environments) if unit.id in self._outputs]
        for gone in self._outputs.keys() - {unit.id for unit in units}:
            del self._outputs[gone]
        if not units:
            return
        self._turn = (self._turn + 1) % len(units)
        left = ROUND_BYTES
        for unit in units[self._turn :] + units[: self._turn]:
            if left <= 0 or not self._intake.has_room:
                return
            left -= await self._read(unit, self._outputs[unit.id], min(left, INSTANCE_BYTES), now)

    def _units_of(self, environments: Sequence[WatchedEnvironment]) -> list[_Unit]:
        if environments is not self._environments:  # the inventory's copy is the same until something changes
            known = self._units_by_place
            found = [(each, known.get((each.project, each.name))) for each in environments]
            self._units_by_place = {
                (each.project, each.name): former
                if former is not None and former[0] is each
                else _units_of(each)
                for each, former in found
            }
            self._environments = environments
            self._units = [unit for _, units in self._units_by_place.values() for unit in units]
        return self._units

    async def _read(self, unit: _Unit, output: _Output, most: int, now: float) -> int:
        """Read on in one output; how many bytes were taken."""
        if output.is_done:
            return 0
        taken = 0
        try:
            while taken < most and self._intake.has_room:
                piece = await self._compute.read(unit.id, output.offset, READ_BYTES)
                if len(piece.data) == READ_BYTES and await self._skip_flood(unit, output, now):
                    continue
                if not piece.data:
                    # Ended, and read once more after that was known: nothing comes any more.
                    if unit.has_ended:
                        self._finish(unit, output, now)
                    break
                if piece.offset > output.offset:
                    self._leave_gap(unit, output, piece.offset, now)
                taken += len(piece.data)
                if not self._take(unit, output, piece.data, now):
                    break
        except NoSuchUnit:
            pass  # not started yet, or removed: the inventory will say which
        return taken

    async def _skip_flood(self, unit: _Unit, output: _Output, now: float) -> bool:
        """Go on near the end where too much lies ahead; says whether."""
        end = (await self._compute.read(unit.id, -1, 1)).next_offset
        return end - output.offset > LAG_BYTES and self._leave_gap(unit, output, end - KEPT_OF_FLOOD, now)

    def _leave_gap(self, unit: _Unit, output: _Output, to: int, now: float) -> bool:
        """Go on further down, if there is room for the mark that says how many bytes are missing."""
        start = output.offset - len(output.rest)
        mark = f"[Halage: {to - start} bytes are missing here: they came faster than logs are kept]"
        source = Source(unit.id, start, to)
        if not self._intake.append(unit.group, unit.stream, [Line(now, mark.encode())], source):
            return False
        output.offset, output.rest = to, b""
        self._intake.note_skipped(to - start)
        return True

    def _take(self, unit: _Unit, output: _Output, data: bytes, now: float) -> bool:
        """Hand on the whole lines; says whether there was room for them."""
        start = output.offset - len(output.rest)
        texts, rest = _split(output.rest + data, unit.mask)
        end = output.offset + len(data)
        if texts:
            lines = [Line(now, unit.mask.apply(text)) for text in texts]
            source = Source(unit.id, start, end - len(rest))
            if not self._intake.append(unit.group, unit.stream, lines, source):
                return False
        output.offset, output.rest = end, rest
        return True

    def _finish(self, unit: _Unit, output: _Output, now: float) -> None:
        """The unit has ended: what it wrote last is a line without its end."""
        if output.rest:
            line = Line(now, unit.mask.apply(output.rest))
            source = Source(unit.id, output.offset - len(output.rest), output.offset)
            if not self._intake.append(unit.group, unit.stream, [line], source):
                return
        output.rest, output.is_done = b"", True


def _split(data: bytes, mask: Mask) -> tuple[list[bytes], bytes]:
    """Whole lines, the pieces of lines that are too long, and what is no whole line yet."""
    *whole, rest = data.split(b"\n")
    texts: list[bytes] = []
    for line in whole:
        pieces, last = _cut(line, mask)
        texts += [*pieces, last.removesuffix(b"\r")]
    pieces, rest = _cut(rest, mask, hold_back=mask.longest)
    return texts + pieces, rest


def _cut(line: bytes, mask: Mask, hold_back: int = 0) -> tuple[list[bytes], bytes]:
    """Pieces of a long line, and its last part. No secret is cut in two, nor one that is coming in."""
    pieces = []
    while len(line) > LONGEST_LINE + hold_back:
        cut = find_cut(line, LONGEST_LINE - len(CONTINUED), mask.words) or LONGEST_LINE
        pieces.append(line[:cut] + CONTINUED)
        line = line[cut:]
    return pieces, line


_UnitsOf = tuple[WatchedEnvironment, Sequence[_Unit]]
"""An environment, which is the same value until something of it changes, and its outputs."""


def _units_of(environment: WatchedEnvironment) -> _UnitsOf:
    name = f"{environment.project}.{environment.name}/instances"
    group = Group(name, environment.project, environment.name)
    mask = Mask(environment.secrets)
    ended = [_Unit(unit, group, stream, mask, True) for stream, unit in environment.ended_units]
    return environment, [*ended, *(_Unit(i.unit_id, group, i.id, mask, False) for i in environment.instances)]
