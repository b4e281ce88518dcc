"""What the API answers with about the settings of environments."""

from datetime import datetime
from typing import Any

from pydantic import Field

from halage.environment.settings.model import Origin
from halage.web.api.schemas import Deployment, View


class Setting(View):
    """One setting with the value that holds."""

    path: str
    group: str
    value: Any = Field(description="As it is written in halage.toml; addresses masked. Null: it has none.")
    source: Origin
    said: Any = Field(description="What would hold if nothing was set on the server.")
    is_pending: bool = Field(description="Whether it waits for a deployment.")
    is_secret: bool


class Settings(View):
    """All settings of an environment, in the order of their groups."""

    project: str
    environment: str
    release: int | None
    settings: list[Setting]


class Difference(View):
    """A setting that a change makes another."""

    path: str
    before: Any
    after: Any
    is_live: bool = Field(description="Whether it takes hold without new instances.")


class SettingsChange(View):
    """What a change comes to; no deployment where nothing changes, or nothing is deployed yet."""

    differences: list[Difference]
    deployment: Deployment | None


class PastChange(View):
    """A change that was made."""

    id: int
    at: datetime
    by: str
    reason: str
    differences: list[Difference]
    release: int | None = Field(description="The release that it was first in.")


class MadeEnvironment(View):
    """An environment that was made, and the deployment that fills it."""

    project: str
    environment: str
    deployment: Deployment | None


class EnvironmentTemplate(View):
    """Settings under a name, addresses masked."""

    project: str
    name: str
    settings: dict[str, Any]
    created_at: datetime
    created_by: str
