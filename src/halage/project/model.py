"""A project: one site with its repository, environments, runs and members."""

from dataclasses import dataclass

from halage.environment.model import Environment
from halage.pipeline.model import Run


@dataclass(frozen=True, slots=True)
class Project:
    """The project itself."""

    name: str
    kind: str | None
    """Of its last commit; None before the first push."""
    created_at: float
    created_by: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything of one site on one page."""

    project: Project
    repository_url: str
    environments: tuple[Environment, ...]
    runs: tuple[Run, ...]
    """The latest ten, newest first."""
    members: dict[str, str]
    """Role by user name."""
