"""What the API answers with: the domains' frozen views as JSON, moments as ISO 8601 in UTC."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from halage.access.model import Role
from halage.build.model import JobState
from halage.environment.model import Colour, DeploymentState, InstanceState
from halage.pipeline.model import RunState, StageKind, StageState


class View(BaseModel):
    """A read-only view of a frozen value; epoch seconds become moments in UTC."""

    model_config = ConfigDict(from_attributes=True, frozen=True)

    @classmethod
    def of(cls, value: object) -> Self:
        """The view of one value."""
        return cls.model_validate(value)


class Health(View):
    """That the server answers."""

    status: str = Field(description="`ok`.")
    version: str


class Problem(BaseModel):
    """A problem document (RFC 9457). Facts come as further members; see docs/reference/errors.md."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="The kind of problem: a reference to its paragraph in the list of errors.")
    title: str
    status: int
    detail: str = Field(description="What happened, to which thing, and what to do now.")
    instance: str


class Me(View):
    """Who the credential of the request belongs to, and their roles by project."""

    name: str
    is_admin: bool
    roles: dict[str, Role]
    via: str = Field(description="How the caller signed in: `token` or `session`.")
    version: str = Field(description="The server's version.")


class User(View):
    """A person."""

    name: str
    is_admin: bool
    has_password: bool
    created_at: datetime
    ended_at: datetime | None = Field(description="When they left; null for those who are here.")


class NewUser(User):
    """A person who was just added, with the link for the first sign-in: it is shown once."""

    login_link: str = Field(description="Works once, for 24 hours.")


class LoginLink(View):
    """A link that signs a person in: it is shown once."""

    login_link: str = Field(description="Works once, for 24 hours.")


class Token(View):
    """An API token or a git credential, without its secret."""

    id: str
    name: str
    kind: str
    user: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewToken(Token):
    """A token that was just made, with its secret: it is shown once."""

    token: str


class GitCredential(View):
    """What git asks for. It opens git alone, for everything that its owner may pull or push."""

    id: str
    username: str
    password: str = Field(description="Shown once.")
    expires_at: datetime | None


class Member(View):
    """A member of a project."""

    user: str
    role: Role


class TestCase(View):
    """One test of a report."""

    __test__ = False

    name: str
    group: str
    outcome: str
    duration_s: float
    message: str


class TestReport(View):
    """The sum of a job's test reports."""

    __test__ = False

    passed: int
    failed: int
    skipped: int
    total: int
    duration_s: float
    failures: list[TestCase]
    slowest: list[TestCase]


class Job(View):
    """A checkout, build and test of one commit."""

    id: int
    project: str
    commit: str
    run_id: int
    state: JobState
    attempt: int
    reason: str
    exit_code: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    peak_memory_bytes: int | None
    report: TestReport | None
    bundle_digest: str | None
    warnings: list[str]


class ConsoleLine(View):
    """A line of a job's console; `number` counts from 0, `at_s` is seconds since the job's start."""

    number: int
    at_s: float
    text: str


class JobLine(ConsoleLine):
    """A line of the console of one of a run's jobs."""

    job_id: int


class Release(View):
    """A bundle with the configuration of its environment at that moment."""

    id: int
    number: int
    project: str
    environment: str
    bundle_digest: str
    commit: str
    title: str
    state: str
    created_at: datetime
    created_by: str


class Instance(View):
    """One running copy of a release."""

    id: str
    release_id: int
    release_number: int
    state: InstanceState
    attempt: int
    address: str
    port: int
    started_at: datetime | None
    ready_at: datetime | None
    reason: str
    check: str
    is_up: bool
    requests: int
    process: str = Field(description="Its kind: `web` gets requests, workers get none.")
    is_protected: bool = Field(description="Scaling does not take it away.")


class Phase(View):
    """The time that one phase of a deployment took."""

    name: str
    duration_s: float
    count: int


class Deployment(View):
    """The change of an environment from one release to another."""

    id: int
    project: str
    environment: str
    kind: str
    state: DeploymentState
    release: Release
    previous_release: Release | None
    reason: str
    done: int
    wanted: int
    phases: list[Phase]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    created_by: str
    run_id: int | None
    log_tail: str
    policy: str | None = Field(description="The policy that it goes by; null before it begins.")
    phase: str = Field(description="Where it stands, while it is under way; else empty.")
    batch: int
    batches: int


class Variable(View):
    """An environment variable; the value of a secret one is null: it is never read back."""

    name: str
    value: str | None
    is_secret: bool
    updated_at: datetime
    updated_by: str


class Environment(View):
    """An environment as it is now."""

    project: str
    name: str
    colour: Colour
    cause: str
    type: str
    wanted: int
    serving: int
    release: Release | None
    deployment: Deployment | None
    instances: list[Instance]
    urls: list[str]
    variables: list[Variable]
    configuration: dict[str, Any]
    planned: int = Field(description="How many instances halage.toml says.")
    scaled: int | None = Field(description="The number that it was scaled to, which counts instead; or null.")


class LogLine(View):
    """A line that an instance wrote."""

    instance: str
    text: str


class Stage(View):
    """One step of a run."""

    position: int
    name: str
    kind: StageKind
    state: StageState
    reason: str
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    job_id: int | None
    deployment_id: int | None
    decided_by: str | None
    comment: str


class Run(View):
    """The way of one pinned commit."""

    id: int
    project: str
    branch: str
    commit: str
    title: str
    author: str
    state: RunState
    reason: str
    created_by: str
    created_at: datetime
    finished_at: datetime | None
    stages: list[Stage]


class Project(View):
    """A project."""

    name: str
    kind: str | None
    created_at: datetime
    created_by: str


class Overview(View):
    """Everything of one project: itself, its environments, latest runs and members."""

    project: Project
    repository_url: str
    environments: list[Environment]
    runs: list[Run]
    members: dict[str, Role]


class Entry(View):
    """A line of the journal: who did what to which thing, and from where."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    project: str | None
    details: dict[str, Any]
    before: dict[str, Any] | None = Field(description="What was changed, as it was; null: nothing was there.")
    after: dict[str, Any] | None = Field(description="What was changed, as it is; null: nothing is there.")
    origin: str | None = Field(
        description="The door, address and credential that it came by, such as `api 203.0.113.5 token ci`; "
        "`halage` for what Halage does of itself; null in what an older Halage wrote."
    )
