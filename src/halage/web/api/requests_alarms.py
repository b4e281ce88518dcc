"""What the API takes about alarms."""

from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import AwareDatetime, BeforeValidator, Field

from halage.monitor.alarms.model import LowSamples, Missing, Operator, Side, State
from halage.web.api.requests import MAX_ID, Flag, RequestBody, is_number

_NAME = r"^[a-z][a-z0-9-]{0,62}$"
_LABEL = r"^[!-~\u00a1-\u00ac\u00ae-\u0377][ -~\u00a1-\u00ac\u00ae-\u0377]*$"
_LINE = r"^[^\x00-\x1f\x7f]+$"
_LARGEST = 1e300

AlarmId = Annotated[int, Path(ge=1, le=MAX_ID, description="The alarm's number.")]
EnvironmentFilter = Annotated[str | None, Query(pattern=_NAME, description="Only those of this environment.")]
StateFilter = Annotated[State | None, Query(description="Only those in this state.")]
HistoryLimit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]


Decimal = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST), BeforeValidator(is_number)]
Whole = Annotated[int, Field(ge=-MAX_ID, le=MAX_ID), BeforeValidator(is_number)]
Address = Annotated[str, Field(min_length=1, max_length=2000, pattern=_LINE)]
HeaderName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9-]+$")]
HeaderValue = Annotated[str, Field(max_length=2000, pattern=r"^[\x20-\x7e]*$")]


class TellWanted(RequestBody):
    """Tell people. Without an address: those of the setting `messages.to`."""

    kind: Literal["tell"]
    to: list[Address] = Field(
        default=[],
        max_length=20,
        description="Addresses as Apprise knows them. They are kept sealed, and shown masked; a masked one "
        "that is sent back stands for the one that the alarm has.",
        examples=[["mailto://user:password@example.org"]],
    )


class ScaleWanted(RequestBody):
    """Change the number of instances of the alarm's environment: `by` so many, or `to` so many."""

    kind: Literal["scale"]
    by: Whole | None = Field(default=None, description="More, or with a minus less.")
    to: Whole | None = None
    minimum: Whole = Field(default=1, description="Never fewer.")
    maximum: Whole = Field(description="Never more.")


class RollbackAction(RequestBody):
    """Return to the last good release, if the present one was deployed shortly before."""

    kind: Literal["rollback"]
    within_s: Annotated[int, Field(ge=60, le=604800), BeforeValidator(is_number)] = Field(
        default=3600, description="How long before the alarm it may have been deployed, in seconds."
    )


class CallWanted(RequestBody):
    """An HTTP request with the change as a JSON body and a header `Idempotency-Key`."""

    kind: Literal["call"]
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    url: Address = Field(description="Kept sealed, shown masked.", examples=["https://hooks.example.org/x"])
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, max_length=20, description="Values are kept sealed, and shown as ***."
    )


ActionWanted = Annotated[TellWanted | ScaleWanted | RollbackAction | CallWanted, Field(discriminator="kind")]
Actions = Annotated[list[ActionWanted], Field(max_length=10)]


class BandWanted(RequestBody):
    """A band around what was usual at this hour of the week."""

    width: Decimal = Field(gt=0, le=100, description="In standard deviations.")
    side: Side = Side.OUTSIDE


class AlarmDefinition(RequestBody):
    """What an alarm watches (an `expression`, or a `rule` over other alarms), and what it does."""

    name: str = Field(max_length=100, pattern=_LABEL, description="Unique in its project.")
    environment: str | None = Field(default=None, pattern=_NAME)
    description: str = Field(default="", max_length=500, pattern=r"^[^\x00-\x1f]*$")
    expression: str | None = Field(
        default=None, max_length=4096, description="One line: docs/reference/expressions.md."
    )
    rule: str | None = Field(
        default=None, max_length=2000, description='Such as ALARM("prod-errors") AND NOT DEPLOYING.'
    )
    operator: Operator = Operator.ABOVE
    threshold: Decimal | None = None
    band: BandWanted | None = None
    period_s: Whole = Field(default=60, description="10, 20, 30 or a multiple of 60 seconds.")
    periods: Whole = Field(default=1, description="How many of the last periods are evaluated.")
    breaching: Whole = Field(default=1, description="How many of them have to breach.")
    missing: Missing = Field(default=Missing.MISSING, description="What a period without data counts as.")
    low_samples: LowSamples = Field(
        default=LowSamples.EVALUATE, description="What is done with a percentile of too few samples."
    )
    mute_while_deploying: Flag = Field(
        default=False, description="Hold back what it does while a deployment runs in its environment."
    )
    on_alarm: Actions = []
    on_ok: Actions = []
    on_insufficient_data: Actions = []


class AlarmWanted(AlarmDefinition):
    """An alarm to define."""

    project: str | None = Field(default=None, pattern=_NAME, description="Null: an alarm of the server.")


class DisableWanted(RequestBody):
    """Until when an alarm shall do nothing; without a moment, until it is enabled."""

    until: AwareDatetime | None = None


class TestWanted(RequestBody):
    """Whether a test message is sent to those whom the alarm tells."""

    __test__ = False

    send: Flag = False
