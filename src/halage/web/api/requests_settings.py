"""What the API takes about the settings of environments."""

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import Field

from halage.web.api.requests import _NAME, _TEXT, MAX_ID, Flag, RequestBody

SettingPath = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.-]+$")]
ReleaseNumber = Annotated[
    int | None, Query(ge=1, le=MAX_ID, description="The settings as they are in this release.")
]


class SettingsWanted(RequestBody):
    """A change of what is set on the server."""

    set: dict[SettingPath, Any] = Field(
        default={},
        max_length=500,
        description="Values by path (`deployments.policy`), written as in halage.toml; a table stands for "
        "the values in it.",
    )
    unset: list[SettingPath] = Field(
        default=[],
        max_length=500,
        description="Paths, or what they begin with, that shall be as halage.toml says again.",
    )
    is_whole: Flag = Field(default=False, description="What `set` does not name is taken back as well.")
    reason: str = Field(default="", max_length=500, pattern=_TEXT)
    is_preview: Flag = Field(default=False, description="Tell what would be different, and change nothing.")


TemplateName = Annotated[str, Path(pattern=_NAME, description="The template's name.")]
_Name = Annotated[str, Field(pattern=_NAME)]


class EnvironmentWanted(RequestBody):
    """An environment to make."""

    name: _Name
    template: _Name | None = Field(default=None, description="A template whose settings it gets.")
    clone_of: _Name | None = Field(
        default=None,
        description="An environment whose settings, variables and release it gets; a template is not "
        "looked at then.",
    )


class TemplateWanted(RequestBody):
    """The name to keep settings under."""

    name: _Name
