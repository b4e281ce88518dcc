"""What the routes about logs take: which groups, what is searched for, filters and outlets."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import Body, Header, Path, Query
from pydantic import Field, StringConstraints

from halage.monitor.logs.model import FieldTest, Search
from halage.web.api.requests import MAX_ID, Flag, RequestBody

_NAME = "[a-z][a-z0-9-]{0,62}"
_PROJECT_GROUP = rf"{_NAME}/builds|{_NAME}\.{_NAME}/(instances|access)"
_MOMENT = (
    r"^(19[7-9][0-9]|2[0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$"
)
_EXAMPLE = "shop.prod/instances"

_ALL_ENVIRONMENTS = rf"{_NAME}\.\*/(instances|access)"
GroupName = Annotated[
    str, StringConstraints(pattern=rf"^(halage|{_PROJECT_GROUP}|{_ALL_ENVIRONMENTS})$", max_length=200)
]
Groups = Annotated[
    list[GroupName],
    Query(
        alias="group",
        min_length=1,
        max_length=20,
        description="`PROJECT.ENVIRONMENT/instances`, `PROJECT.ENVIRONMENT/access` (`*` in place of "
        "ENVIRONMENT: all of them), `PROJECT/builds` or `halage` (the server's own, for administrators). "
        "May be given several times.",
        examples=[[_EXAMPLE]],
    ),
]
Text = Annotated[str, Query(max_length=1000, pattern=r"^[^\x00\n\r]*$", description="What lines hold.")]
NotText = Annotated[
    str, Query(max_length=1000, pattern=r"^[^\x00\n\r]*$", description="What lines do not hold.")
]
IgnoreCase = Annotated[
    Literal["true", "false"], Query(description="Whether a and A (of A to Z) are the same.")
]
FieldText = Annotated[str, StringConstraints(pattern=r"^[^=~\x00\n\r]{1,200}[=~][^\x00\n\r]{0,1000}$")]
Fields = Annotated[
    list[FieldText],
    Query(
        alias="field",
        max_length=20,
        description="A field of JSON lines: `level=error`, `user.id=7` (nested), `path~checkout` (contains). "
        "May be given several times: all must be so.",
    ),
]
Stream = Annotated[
    str | None,
    Query(
        max_length=200, pattern=r"^[^\x00]*$", description="Only lines of this stream: an instance, a job."
    ),
]
From = Annotated[
    str | None, Query(alias="from", pattern=_MOMENT, description="Only lines of that moment and later.")
]
To = Annotated[str | None, Query(alias="to", pattern=_MOMENT, description="Only lines before that moment.")]
BeforeLine = Annotated[
    int | None, Query(ge=1, le=MAX_ID, description="Only lines with a lower id: the next page.")
]
Period = Annotated[
    int, Query(alias="period", ge=1, le=31 * 86400, description="Seconds that each count is of.")
]
FoundLimit = Annotated[int, Query(ge=1, le=1000, description="How many lines at most.")]
Backlog = Annotated[int, Query(ge=0, le=1000, description="How many of the last lines come first.")]
Format = Annotated[
    Literal["text", "json"],
    Query(alias="format", description="`text`: moment, stream and line; `json`: a document a line."),
]
LastLine = Annotated[
    str,
    Header(
        alias="Last-Event-ID",
        pattern=r"^([0-9]{1,16})?$",
        description="The id of the last line that was received: the stream goes on after it.",
    ),
]
FilterId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The filter's number.")]
OutletId = Annotated[int, Path(ge=1, le=2**31 - 1, description="The outlet's number.")]


def search_of(
    text: Text = "",
    not_text: NotText = "",
    ignore_case: IgnoreCase = "false",
    field: Fields = [],  # noqa: B006 - read, never changed
    stream: Stream = None,
    start: From = None,
    end: To = None,
) -> Search:
    """The search that a request's query asks for."""
    return Search(
        text=text,
        not_text=not_text,
        ignores_case=ignore_case == "true",
        fields=tuple(FieldTest.parse(each) for each in field),
        stream=stream,
        start=moment(start),
        end=moment(end),
    )


def moment(text: str | None) -> float | None:
    """Seconds since the epoch; the 30th of February is the 2nd of March (the 1st in a leap year)."""
    if text is None:
        return None
    day = int(text[8:10])
    first = datetime.fromisoformat(f"{text[:8]}01{text[10:]}".replace("Z", "+00:00"))
    return (first.astimezone(UTC) + timedelta(days=day - 1)).timestamp()


_HOST = "[a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?"
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
OutletName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
GroupPatterns = Annotated[
    list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9*./-]{1,200}$")]],
    Field(min_length=1, max_length=100, description="Names of groups; `*` stands for any characters."),
]


class SearchWanted(RequestBody):
    """What a filter looks for: all conditions must be met."""

    text: str = Field(default="", max_length=1000, pattern=r"^[^\x00\n\r]*$")
    not_text: str = Field(default="", max_length=1000, pattern=r"^[^\x00\n\r]*$")
    ignore_case: Flag = False
    fields: list[FieldText] = Field(default=[], max_length=20)
    stream: str | None = Field(default=None, max_length=200, pattern=r"^[^\x00]*$")

    def search(self) -> Search:
        """The same for the domain."""
        return Search(
            text=self.text,
            not_text=self.not_text,
            ignores_case=self.ignore_case,
            fields=tuple(FieldTest.parse(each) for each in self.fields),
            stream=self.stream,
        )


class LogFilterWanted(RequestBody):
    """A filter: what the search finds in the group from now on is counted in the metric."""

    group: Annotated[str, StringConstraints(pattern=rf"^({_PROJECT_GROUP})$", max_length=200)] = Field(
        examples=[_EXAMPLE]
    )
    metric: str = Field(
        max_length=100,
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,99}$",
        examples=["failed_logins"],
        description="Not one of Halage's own names (instance_, environment_, machine_, halage_).",
    )
    search: SearchWanted = SearchWanted()


class SyslogOutletWanted(RequestBody):
    """A syslog collector (RFC 5424) to send lines on to, from now on."""

    name: OutletName
    address: str = Field(
        pattern=rf"^(udp|tcp|tls)://{_HOST}:{_PORT}$",
        max_length=300,
        examples=["tcp://logs.example.org:601"],
    )
    groups: GroupPatterns = ["*"]


class HeaderWanted(RequestBody):
    """A header of HTTP requests."""

    name: str = Field(pattern=r"^[A-Za-z0-9-]{1,100}$", examples=["Authorization"])
    value: str = Field(pattern=r"^[!-~]([ -~]{0,1998}[!-~])?$")


class HttpOutletWanted(RequestBody):
    """A collector that takes JSON lines in the body of a POST, to send lines on to, from now on."""

    name: OutletName
    address: str = Field(
        pattern=rf"^https?://{_HOST}(:{_PORT})?(/[!-~]*)?$",
        max_length=2000,
        examples=["https://logs.example.org/lines"],
    )
    groups: GroupPatterns = ["*"]
    headers: list[HeaderWanted] = Field(
        default=[],
        max_length=20,
        description="Sent along with each request. Encrypted at rest, never read back.",
    )


LogOutletWanted = Annotated[
    HttpOutletWanted | SyslogOutletWanted, Body(description="A place to send lines on to.")
]
