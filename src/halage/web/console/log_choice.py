"""Which lines the page of logs shows, as its address says it. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from halage.base.errors import Invalid
from halage.monitor.logs.model import OWN_GROUP, FieldTest, Group, Search
from halage.web.console.ranges import PRESETS, TimeRange, read_range
from halage.web.console.wording import iso

KINDS = ("instances", "access", "builds")
"""Of a project's lines; an environment has the first two, all of a project's builds are one group."""
_USUAL_KINDS = ("instances", "access")
_USUAL_S = PRESETS[1]
_LONGEST = 1000
_MOST_FIELDS = 20
_LONGEST_TRAIL = 100
_PLACE = re.compile(r"(?P<project>[a-z][a-z0-9-]{0,62})(\.(?P<environment>[a-z][a-z0-9-]{0,62}))?")
_STEPS_S = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400),
    *(2 * 86400, 7 * 86400, 28 * 86400),
)
_MOST_BARS = 90


@dataclass(frozen=True, slots=True)
class LogChoice:
    """Where, what, when, and which page of it. What cannot be read chooses nothing."""

    project: str | None
    """None: the server's own log."""
    environment: str | None
    kinds: tuple[str, ...]
    text: str
    not_text: str
    ignores_case: bool
    fields: tuple[str, ...]
    """As they were typed; `search` says whether they can be read."""
    stream: str
    range: TimeRange
    before: int | None = None
    """The page has lines before this id; None: the newest."""
    trail: tuple[int, ...] = ()
    """`before` of the pages that led to this one; 0 for the newest."""

    @classmethod
    def of(cls, query: QueryParams, place: str) -> "LogChoice":
        """The choice of an address; `place` is `PROJECT`, `PROJECT.ENVIRONMENT`, or empty for the server."""
        found = _PLACE.fullmatch(place)
        kinds = tuple(kind for kind in KINDS if kind in query.getlist("group"))
        before = _number(query.get("before", ""))
        trail = [_number(part) for part in query.get("trail", "").split(".")[-_LONGEST_TRAIL:]]
        return cls(
            project=found and found["project"],
            environment=found and found["environment"],
            kinds=kinds or _USUAL_KINDS,
            text=_text(query, "text"),
            not_text=_text(query, "not_text"),
            ignores_case=query.get("ignore_case") == "true",
            fields=_fields(query),
            stream=_text(query, "stream"),
            range=read_range(query, _USUAL_S),
            before=before or None,
            trail=tuple(number for number in trail if number is not None) if before else (),
        )

    @property
    def place(self) -> str:
        """As the address has it."""
        return ".".join(part for part in (self.project, self.environment) if part)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of groups; `*` stands for all environments of a project."""
        if self.project is None:
            return (OWN_GROUP,)
        return tuple(
            f"{self.project}/builds"
            if kind == "builds"
            else f"{self.project}.{self.environment or '*'}/{kind}"
            for kind in self.kinds
        )

    def has(self, group: Group) -> bool:
        """Whether lines of this group are chosen."""
        kind = group.name.rpartition("/")[2]
        return group.project == self.project and (
            self.project is None
            or (kind in self.kinds and (kind == "builds" or self.environment in (None, group.environment)))
        )

    @property
    def is_newest(self) -> bool:
        """Whether new lines belong onto the page."""
        return self.before is None and not self.range.is_fixed

    @property
    def is_narrow(self) -> bool:
        """Whether anything is looked for."""
        return bool(self.text or self.not_text or self.fields or self.stream)

    @property
    def has_more(self) -> bool:
        """Whether a condition is set that is not always seen in the form."""
        return bool(self.not_text or self.ignores_case or self.fields or self.stream or self.range.is_fixed)

    @property
    def timeless(self) -> Search:
        """What is looked for, at any time. Raises Invalid."""
        try:
            fields = tuple(FieldTest.parse(each) for each in self.fields)
        except ValueError as error:
            raise Invalid(
                f"A field cannot be looked for: {error}. Write level=error, or path~checkout."
            ) from error
        return Search(self.text, self.not_text, self.ignores_case, fields, self.stream or None)

    def span(self, now: float) -> tuple[float, float]:
        """From when to when."""
        if self.range.from_ is not None and self.range.to is not None:
            return self.range.from_, self.range.to
        return now - self.range.seconds, now

    def search(self, now: float) -> Search:
        """What is looked for, and when. Raises Invalid."""
        start, end = self.span(now)
        return replace(self.timeless, start=start, end=end if self.range.is_fixed else None)

    # -- addresses

    def query(self, **changes: Any) -> str:
        """The choice as it stands in an address, changed: `before=None` leaves a part out."""
        parts: dict[str, Any] = {**self._conditions, **self._times}
        if self.before:
            parts |= {"before": self.before, "trail": ".".join(map(str, self.trail))}
        parts |= changes
        # An empty place is one too: the server's own log.
        return f"place={self.place}&" + _written({"group": self.kinds if self.project else (), **parts})

    @property
    def first_page(self) -> str:
        """The newest lines of the same."""
        return self.query(before=None, trail=None)

    def last(self, seconds: int) -> str:
        """The same of the last so many seconds."""
        return self.query(before=None, trail=None, **{"range": seconds, "from": None, "to": None})

    def between(self, start: float, end: float) -> str:
        """The same of that time."""
        return self.query(before=None, trail=None, **{"from": iso(start), "to": iso(end)})

    def with_field(self, name: str, value: str) -> str:
        """Narrowed to lines that have this field."""
        fields = dict.fromkeys((*self.fields, f"{name}={value}"))
        return self.query(before=None, trail=None, field=list(fields))

    def older(self, next_before: int) -> str:
        """The page before."""
        return self.query(before=next_before, trail=".".join(map(str, (*self.trail, self.before or 0))))

    @property
    def newer(self) -> str:
        """The page after: where one came from."""
        if not self.trail or not self.trail[-1]:
            return self.first_page
        rest = self.trail[:-1]
        return self.query(before=self.trail[-1], trail=".".join(map(str, rest)) or None)

    @property
    def filter_query(self) -> str:
        """What is looked for, for the form of a filter."""
        group = next((name for name in self.groups if "*" not in name), None)
        fields = "\n".join(self.fields)
        return _written({"project": self.project, **self._conditions, "group": group, "field": fields})

    def api_query(self, now: float) -> str:
        """The choice as the API takes it: groups by their names, moments in place of a range."""
        start, end = self.span(now)
        times = {"from": iso(start), "to": iso(end) if self.range.is_fixed else None}
        return _written({"group": self.groups, **self._conditions, **times})

    @property
    def _conditions(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "not_text": self.not_text,
            "ignore_case": "true" if self.ignores_case else None,
            "field": self.fields,
            "stream": self.stream,
        }

    @property
    def _times(self) -> dict[str, Any]:
        times = {"from": iso(self.range.from_), "to": iso(self.range.to)}
        is_usual = self.range.seconds == _USUAL_S
        return {"range": None if is_usual else self.range.seconds, **times}


def period_for(seconds: float) -> int:
    """How long (seconds) each bar of that time is: a round number, and not too many bars."""
    return next((step for step in _STEPS_S if seconds / step <= _MOST_BARS), _STEPS_S[-1])


def _written(parts: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in parts.items() if value not in (None, "", (), [])}
    return urlencode(kept, doseq=True)


def _text(query: QueryParams, name: str) -> str:
    return re.sub(r"[\x00\r\n]", "", query.get(name, ""))[:_LONGEST]


def _fields(query: QueryParams) -> tuple[str, ...]:
    typed = [re.sub(r"[\x00\r\n]", "", each).strip()[:_LONGEST] for each in query.getlist("field")]
    return tuple(each for each in typed if each)[:_MOST_FIELDS]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 17 else None
