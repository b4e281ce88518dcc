"""What the API takes: the bodies of requests, and the parameters that many routes share."""

from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from halage.access.model import Role
from halage.site.settings import Policy

MAX_ID = 2**53 - 1
"""The greatest whole number that every JSON reader keeps exact."""

_NAME = r"^[a-z][a-z0-9-]{0,62}$"
_USER_NAME = r"^[a-z][a-z0-9._-]{0,62}$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
_LABEL = r"^[!-~\u00a1-\u00ac\u00ae-\u0377][ -~\u00a1-\u00ac\u00ae-\u0377]*$"
"""Printable: what a terminal and a page show on one line."""
_TEXT = r"^[^\x00]*$"

ProjectName = Annotated[str, Path(pattern=_NAME, description="The project's name.", examples=["boutique"])]
EnvironmentName = Annotated[
    str, Path(pattern=_NAME, description="The environment's name.", examples=["prod"])
]
UserName = Annotated[str, Path(pattern=_USER_NAME, description="The user's name.", examples=["ada"])]
VariableName = Annotated[str, Path(pattern=_VARIABLE, description="The variable's name.")]
TokenId = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,64}$", description="The token's id.")]
RunId = Annotated[int, Path(ge=1, le=MAX_ID, description="The run's number.")]
JobId = Annotated[int, Path(ge=1, le=MAX_ID, description="The job's number.")]
DeploymentId = Annotated[int, Path(ge=1, le=MAX_ID, description="The deployment's number.")]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Before = Annotated[
    int | None, Query(ge=1, le=MAX_ID, description="Only those with a lower number: the next page.")
]
After = Annotated[int | None, Query(ge=0, le=MAX_ID, description="Only those with a higher number.")]
ProjectFilter = Annotated[str | None, Query(pattern=_NAME, description="Only those of this project.")]
EnvironmentFilter = Annotated[
    str | None,
    Query(pattern=_NAME, description="Only those about an environment of this name, or what is in it."),
]
SubjectFilter = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=200,
        pattern=_TEXT,
        description="Only those about this thing; `*` stands for any part: `project/shop/*`.",
    ),
]
OriginFilter = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=200,
        pattern=_TEXT,
        description="Only those whose origin begins so; `*` stands for any part: `api * token ci`.",
    ),
]
TextFilter = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=200,
        pattern=_TEXT,
        description="Only those that hold this text anywhere, also in what was before and after.",
    ),
]

FromLine = Annotated[int, Query(ge=0, le=MAX_ID, alias="from", description="The first line, from 0 on.")]
Lines = Annotated[int, Query(ge=1, le=5000, description="How many lines at most.")]

_LAST_EVENT = "The id of the last event that was received: the stream goes on after it."
LastNumber = Annotated[
    str, Header(alias="Last-Event-ID", pattern=r"^([0-9]{1,15})?$", description=_LAST_EVENT)
]
Position = Annotated[
    str,
    Header(alias="Last-Event-ID", pattern=r"^([0-9]{1,15}\.[0-9]{1,15})?$", description=_LAST_EVENT),
]


def is_number(value: Any) -> Any:
    """The value, unless it is a text or a truth value that could be read as a number."""
    if isinstance(value, str | bool):
        raise ValueError("a number is written without quotes")
    return value


Flag = Annotated[bool, Field(strict=True)]
"""true or false, and not one of the words and numbers that could be read so."""
Number = Annotated[int, Field(ge=1, le=MAX_ID), BeforeValidator(is_number)]
"""A whole number (7.0 is one in JSON), and not a text that could be read so."""
Lifetime = Annotated[int, Field(ge=60, le=10 * 366 * 86400), BeforeValidator(is_number)]


class RequestBody(BaseModel):
    """A request body: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Login(RequestBody):
    """Name and password."""

    user: str = Field(min_length=1, max_length=64, pattern=_TEXT)
    password: str = Field(min_length=1, max_length=1024, pattern=_TEXT)


class UserWanted(RequestBody):
    """A person to add. Without a password, the login link lets them choose one."""

    name: str = Field(pattern=_USER_NAME)
    password: str | None = Field(default=None, min_length=8, max_length=1024, pattern=_TEXT)
    is_admin: Flag = False


class TokenWanted(RequestBody):
    """A token to make, for oneself."""

    name: str = Field(max_length=100, pattern=_LABEL, description="What it is for.")
    lifetime_s: Lifetime | None = Field(
        default=None,
        description="Seconds from now until it expires. Null: it lasts until it is revoked.",
    )


class ProjectWanted(RequestBody):
    """A project to create."""

    name: str = Field(pattern=_NAME)


class RoleWanted(RequestBody):
    """The role that a member shall have."""

    role: Role


class Decision(RequestBody):
    """Why an approval is given or refused."""

    comment: str = Field(default="", max_length=2000, pattern=_TEXT)


class RetryWanted(RequestBody):
    """Where to start again; without a stage, at the one that failed."""

    stage: str | None = Field(default=None, pattern=_NAME)


class RollbackWanted(RequestBody):
    """The number of the release to return to; without one, the last good one."""

    release: Number | None = None


class PlanWanted(RequestBody):
    """Of which release (null: the current one anew), and by which policy (null: its own)."""

    release: Number | None = None
    policy: Policy | None = None


class ScaleWanted(RequestBody):
    """How many instances there shall be; null: as many as halage.toml says."""

    instances: Annotated[int, Field(ge=0, le=100), BeforeValidator(is_number)] | None
    process: str = Field(
        default="web", pattern=_NAME, description="The kind of process; only workers may be none."
    )


class VariableWanted(RequestBody):
    """The value that a variable shall have from the next start of an instance on."""

    value: str = Field(max_length=32768, pattern=_TEXT)
    is_secret: Flag = Field(
        default=False, description="Encrypted at rest, masked in consoles, never read back."
    )
