"""Which samples of a write are kept: what is wrong with the others is said once all is done."""

from collections.abc import Iterable

from halage.monitor.metrics.blocks import Known
from halage.monitor.metrics.errors import BadMetric, TooManySeries
from halage.monitor.metrics.model import Sample, SeriesKey
from halage.monitor.metrics.registry import ACTIVE_S, LARGEST, Registry, check_key, check_value
from halage.monitor.metrics.sketch import Sketch

_NAMED_AT_MOST = 3


class Admission:
    """The samples of one write, sorted. A refusal costs a look into a table and keeps nothing."""

    def __init__(self, registry: Registry, at: int, resolution_s: int, now: float) -> None:
        self._registry = registry
        self._at = at
        self._resolution_s = resolution_s
        self._resting_before = now - ACTIVE_S
        self.taken: list[tuple[Known, float | Sketch]] = []
        self.new: dict[SeriesKey, Known] = {}
        """Series that there are not yet: they have no id."""
        self._woken: set[int] = set()
        self._bad: list[BadMetric] = []
        self._too_many = 0
        self._names: list[str] = []

    @property
    def newly_active(self) -> int:
        """How many series count against the limit that did not before."""
        return len(self.new) + len(self._woken)

    def sort_out(self, samples: Iterable[Sample]) -> None:
        """Take what can be kept."""
        get, resting_before, take = self._registry.get, self._resting_before, self.taken.append
        for sample in samples:
            known, value = get(sample.key), sample.value
            if (
                known is not None
                and type(value) is float
                and -LARGEST <= value <= LARGEST
                and known.kind is sample.kind
                and known.last_at >= resting_before
            ):
                take((known, value))
                continue
            try:
                self._look_closer(known or self.new.get(sample.key), sample)
            except BadMetric as error:
                self._bad.append(error)

    def tell(self) -> None:
        """Raise what is to be said, if anything; all other samples are kept."""
        if self._bad:
            more = f" {len(self._bad)} samples were not kept." if len(self._bad) > 1 else ""
            raise BadMetric(self._bad[0].message + more, refused=len(self._bad) + self._too_many)
        if self._too_many:
            names = ", ".join(self._names) + (", …" if self._too_many > len(self._names) else "")
            raise TooManySeries(
                f"The limit on the number of series is reached: {self._too_many} samples of new series "
                f"were not kept ({names}).",
                refused=self._too_many,
            )

    def _look_closer(self, known: Known | None, sample: Sample) -> None:
        is_waking = (
            known is not None
            and known.id > 0
            and known.id not in self._woken
            and known.last_at < self._resting_before
        )
        if (known is None or is_waking) and not self._registry.has_room(self.newly_active):
            self._too_many += 1
            if len(self._names) < _NAMED_AT_MOST:
                self._names.append(str(sample.key)[:200])
            return
        if isinstance(sample.value, Sketch) and not sample.value.count:
            return
        check_value(sample)
        if known is None:
            check_key(sample.key)
            known = Known(0, sample.key, sample.kind, self._resolution_s, self._at, self._at)
            self.new[sample.key] = known
        elif known.kind != sample.kind:
            raise BadMetric(f"{sample.key} is a {known.kind}, and cannot be a {sample.kind} as well.")
        if is_waking:
            self._woken.add(known.id)
        self.taken.append((known, sample.value))
