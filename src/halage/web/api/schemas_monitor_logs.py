"""What the routes about logs answer with."""

from datetime import datetime
from typing import Self

from pydantic import Field

from halage.monitor.logs.model import KeptLine, OutletState, Search
from halage.monitor.logs.model import LogFilter as DomainFilter
from halage.web.api.schemas import View


class KeptLogLine(View):
    """A line of a group."""

    id: int = Field(description="Grows with each line, over all groups: where a page or a stream goes on.")
    at: datetime
    group: str
    stream: str = Field(description="Who wrote it: an instance, a job, the balancer.")
    text: str = Field(description="What is no UTF-8 is shown with replacement characters.")

    @classmethod
    def of(cls, value: object) -> Self:
        """The view of a KeptLine."""
        assert isinstance(value, KeptLine)
        return cls.model_validate(
            {
                "id": value.id,
                "at": value.at,
                "group": value.group,
                "stream": value.stream,
                "text": value.words,
            }
        )


class LogPage(View):
    """Lines that were found, newest first in the order in which they came in."""

    lines: list[KeptLogLine]
    next_before: int | None = Field(description="Ask with `before` for what is older; null: nothing more.")
    is_cut_off: bool = Field(description="The time of a search was over; `next_before` goes on.")
    problems: list[str] = Field(description="What could not be read.")


class LogCounts(View):
    """How many lines there are: bucket i begins `period_s` times i after `start`."""

    start: datetime
    period_s: float = Field(description="Longer than asked for where that would have been too many.")
    counts: list[int]
    is_cut_off: bool = Field(description="The time was over: older lines are not counted.")
    counted_from: datetime | None
    problems: list[str]


class LogGroup(View):
    """A group, and what is kept of it."""

    name: str
    project: str | None = Field(description="Null for what belongs to the server.")
    environment: str | None
    lines: int
    size_bytes: int = Field(description="As it was written, before compression.")
    first_at: datetime
    last_at: datetime
    streams: list[str] = Field(description="The latest ones, 100 at most.")


class LogSearch(View):
    """What a filter looks for."""

    text: str
    not_text: str
    ignore_case: bool
    fields: list[str] = Field(description="`NAME=VALUE` or `NAME~VALUE` (contains).")
    stream: str | None


class LogFilter(View):
    """A search whose hits are counted in a metric."""

    id: int
    group: str
    metric: str
    search: LogSearch
    created_at: datetime
    created_by: str

    @classmethod
    def of(cls, value: object) -> Self:
        """The view of a filter."""
        assert isinstance(value, DomainFilter)
        return cls.model_validate(
            {
                "id": value.id,
                "group": value.group,
                "metric": value.metric,
                "search": _search(value.search),
                "created_at": value.created_at,
                "created_by": value.created_by,
            }
        )


def _search(search: Search) -> LogSearch:
    return LogSearch(
        text=search.text,
        not_text=search.not_text,
        ignore_case=search.ignores_case,
        fields=[str(each) for each in search.fields],
        stream=search.stream,
    )


class LogOutlet(View):
    """A place outside that lines are sent on to as they come."""

    id: int
    name: str
    address: str
    groups: list[str]
    header_names: list[str] = Field(description="Headers that are sent along; their values are never shown.")
    state: OutletState
    error: str = Field(description="Why it fails, or what it missed; empty when all is well.")
    behind: int = Field(description="How many lines wait to be sent.")
    created_at: datetime
    created_by: str
