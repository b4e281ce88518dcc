"""What the API answers about the plan of a deployment and its report."""

from datetime import datetime

from pydantic import Field

from halage.site.settings import Policy
from halage.web.api.schemas import Deployment, View


class PlannedPhase(View):
    """One phase of one batch, as it is expected."""

    phase: str
    batch: int
    begins_s: float
    duration_s: float
    started: int
    stopped: int
    fewest_serving: int


class Rehearsal(View):
    """What a deployment is expected to do, played with the very decisions that it would be run by."""

    phases: list[PlannedPhase]
    fewest_serving: int = Field(description="The lowest capacity on the way.")
    most_running: int
    duration_s: float
    extra_instance_hours: float = Field(description="Beyond the wanted number, with what is kept.")
    kept: int


class RolloutPlan(View):
    """What a deployment would do. Nothing was begun."""

    project: str
    environment: str
    kind: str
    policy: Policy
    wanted: int
    batches: int
    batch: int
    refusals: list[str] = Field(description="Why it would not be begun; empty: it may be.")
    rehearsal: Rehearsal | None = Field(description="Null where it is refused.")
    deadline_s: float
    keep_old_s: float
    measured: int = Field(description="Deployments that the expected times come from; 0: they are guesses.")


class TimedPhase(View):
    """One phase of one batch, as it was."""

    phase: str
    batch: int
    began_at: datetime
    duration_s: float


class Served(View):
    """What visitors got over a time."""

    requests: int
    failed: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Report(View):
    """What a deployment did, and what visitors got in the 5 minutes before, during and in those after it."""

    deployment: Deployment
    policy: Policy | None
    batch: int
    verdict: str | None = Field(description="What its canary was found to be.")
    phases: list[TimedPhase]
    before: Served | None = Field(description="Null: nothing was measured. The same goes for the next two.")
    during: Served | None
    after: Served | None
