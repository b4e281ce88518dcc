"""The models of halage.toml: what may stand in it. None stands for the default of the kind."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from halage.site.environment_tables import DAY_S, EnvironmentTable, Table
from halage.site.model import Kind
from halage.site.values import (
    Command,
    Commands,
    DocumentRoot,
    Reports,
    Seconds,
    SitePaths,
    UrlPath,
    Variables,
    check_environments,
)


class BuildTable(Table):
    """How the site is made ready to run, once for each commit."""

    commands: Commands | None = None
    """Lines of shell, run in order in the root of a fresh checkout; the first that fails ends the build."""
    network: bool = True
    """Whether the build and the tests reach the network."""
    timeout: Seconds = Field(default=900.0, ge=1, le=DAY_S)
    """The build is ended after this time."""


class TestTable(Table):
    """How the site is tested, in the checkout that was built."""

    commands: Commands | None = None
    """Lines of shell, run in order after the build; the first that fails makes the run red."""
    reports: Reports | None = None
    """Where the tests leave JUnit XML (globs); shown in the console with each failure."""
    timeout: Seconds = Field(default=900.0, ge=1, le=DAY_S)
    """The tests are ended after this time."""
    required: bool = False
    """Refuse a commit that has no tests, in place of a warning."""

    __test__ = False


class RunTable(Table):
    """How an instance of the site is run."""

    start: Command | None = None
    """Line of shell that starts the site on `$HOST` and `$PORT`, in the foreground."""
    release: Command | None = None
    """Line of shell that runs once for each release and environment, before its first instance."""
    persistent: SitePaths | None = None
    """Paths that live outside the release and stay from one to the next, one copy per environment."""
    document_root: DocumentRoot | None = None
    """Directory that a PHP or static site is served from."""
    php_development_server: bool = False
    """Serve a PHP site by `php -S`, without php-fpm and nginx; not meant for production."""
    boot_timeout: Seconds = Field(default=60.0, ge=1, le=3600)
    """How long a new instance may take until its health check passes."""
    drain_timeout: Seconds = Field(default=30.0, ge=0, le=3600)
    """How long an old instance may take to end the requests it has."""
    stop_timeout: Seconds = Field(default=10.0, ge=0, le=600)
    """How long an instance may take to end after SIGTERM."""
    metrics: UrlPath | None = None
    """Path at which each instance answers in Prometheus' text format; its metrics are taken from there."""


class SiteFile(Table):
    """halage.toml as a whole. Every part is optional."""

    kind: Kind | None = Field(default=None, strict=False)
    """What the site is written in, where it should not be detected."""
    build: BuildTable = BuildTable()
    """How the site is made ready to run, once for each commit."""
    test: TestTable = TestTable()
    """How the site is tested, in the checkout that was built."""
    run: RunTable = RunTable()
    """How an instance of the site is run."""
    env: Variables = {}
    """Variables of every environment. Not for secrets: the file is in the repository."""
    flow: dict[str, list[str]] = {}
    """Where a branch goes: a branch or pattern, and its stages in order."""
    environments: Annotated[dict[str, EnvironmentTable], BeforeValidator(check_environments)] = {}
    """The environments, by name."""
