"""What the API takes about scaling."""

from typing import Annotated, Literal

from fastapi import Path
from pydantic import AwareDatetime, BeforeValidator, Field

from halage.web.api.requests import Flag, RequestBody, is_number

MOST_TRACE = 1_000_000
"""Characters of a recording: what a request may hold."""

InstanceId = Annotated[str, Path(pattern=r"^i-[a-z0-9]{1,38}$", description="The instance's id.")]
_Positive = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False), BeforeValidator(is_number)]
_Seconds = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False), BeforeValidator(is_number)]
_Size = Annotated[int, Field(ge=0, le=100), BeforeValidator(is_number)]
_Metric = Literal["requests", "in_flight", "queue", "cpu", "latency"]


class SuspensionWanted(RequestBody):
    """What scaling shall not do for now; empty: it does everything again."""

    suspended: list[Literal["out", "in", "schedule", "replace"]] = Field(max_length=4)


class ProtectionWanted(RequestBody):
    """Whether scaling leaves the instance alone."""

    is_protected: Flag


class SimulationWanted(RequestBody):
    """A traffic to replay, and what an instance takes. Without a trace: the environment's own traffic."""

    trace: str | None = Field(
        default=None,
        max_length=MOST_TRACE,
        description="CSV: a time and the requests until the next row's.",
        examples=["1998-06-30 20:00:00,3600\n1998-06-30 21:00:00,7200\n"],
    )
    from_: AwareDatetime | None = Field(
        default=None, alias="from", description="Of the own traffic; without: 7 days before `to`."
    )
    to: AwareDatetime | None = Field(default=None, description="Where it ends; without: now.")
    capacity: _Positive = Field(description="Requests a second that one instance works off.")
    boot_s: _Seconds = Field(default=20.0, description="From an instance's start to its first answer.")
    response_ms: _Positive = Field(default=50.0, description="Of an instance that has little to do.")
    minimum: _Size | None = Field(default=None, description="In place of the environment's own.")
    maximum: Annotated[int, Field(ge=1, le=1000), BeforeValidator(is_number)] | None = None
    targets: dict[_Metric, _Positive] | None = Field(
        default=None, description="Metric to target, in place of the environment's triggers."
    )
    static: Annotated[int, Field(ge=1, le=10_000), BeforeValidator(is_number)] | None = Field(
        default=None, description="Size of the fleet beside it; without: as many as the peak needs."
    )
    is_drawn: Flag = Field(default=False, description="Answer with a picture (SVG) as well.")
