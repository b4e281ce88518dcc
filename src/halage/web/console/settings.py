"""The settings of an environment: nine groups with the source of each value, a difference before saving."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from fastapi import APIRouter, Request, Response

from halage.base.errors import Conflict, Invalid
from halage.base.toml import parse_value, plain_text, toml_value
from halage.environment.settings.model import Setting, Settings, Wish
from halage.site.effective import choices_of
from halage.web.console.console import Console, Form, add, see, status_of

FIELD = "setting."


@dataclass(frozen=True, slots=True)
class Field:
    """A setting with what its field of the form holds."""

    setting: Setting
    text: str
    choices: tuple[str, ...]
    is_long: bool
    """Whether it is a list, which is written over several lines."""


class SettingsPages:
    """The page of the settings, what a change would come to, and the change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._services = console.services

    def serve(self, router: APIRouter) -> None:
        """Add the pages to a router."""
        base = "/projects/{project}/environments/{environment}/settings"
        add(router, base, get=self.show, post=self.review)
        add(router, f"{base}/save", post=self.save)

    async def show(self, request: Request, project: str, environment: str) -> Response:
        """Every setting, and the history of their changes."""
        await self._console.visitor_at(request, project, environment, "environment:Show")
        return await self._page(request, project, environment)

    async def review(self, request: Request, project: str, environment: str) -> Response:
        """What the form would change; nothing is changed yet."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Configure")
        form = await self._console.form(request, visitor)
        settings = await self._services.settings.show(project, environment)
        wish = wish_of(form, settings)
        try:
            preview = Wish(wish.set, wish.unset, is_preview=True)
            change = await self._services.settings.change(
                project, environment, preview, actor=visitor.principal.name
            )
        except (Invalid, Conflict) as error:
            return await self._page(request, project, environment, status_of(error), form, error.message)
        return self._console.page(
            request,
            "settings_difference.html",
            project=project,
            environment=await self._services.environments.show(project, environment),
            differences=change.differences,
            written=toml_value,
            wish=json.dumps({"set": dict(wish.set), "unset": list(wish.unset)}),
        )

    async def save(self, request: Request, project: str, environment: str) -> Response:
        """Do what was looked at before."""
        visitor = await self._console.visitor_at(request, project, environment, "environment:Configure")
        form = await self._console.form(request, visitor)
        try:
            wish = _read_wish(form)
            await self._services.settings.change(project, environment, wish, actor=visitor.principal.name)
        except (Invalid, Conflict) as error:
            return await self._page(request, project, environment, status_of(error), None, error.message)
        return see(f"/projects/{project}/environments/{environment}/settings")

    async def _page(
        self,
        request: Request,
        project: str,
        environment: str,
        status: int = 200,
        typed: Form | None = None,
        problem: str | None = None,
    ) -> Response:
        settings = await self._services.settings.show(project, environment)
        fields = [_field(each, typed) for each in settings.settings]
        groups = groupby(fields, key=lambda field: field.setting.group)
        return self._console.page(
            request,
            "settings.html",
            status,
            project=project,
            environment=await self._services.environments.show(project, environment),
            groups=[(name, list(found)) for name, found in groups],
            history=await self._services.settings.history(project, environment, limit=30),
            written=toml_value,
            typed=typed or Form(),
            problem=problem,
        )


def wish_of(form: Form, settings: Settings) -> Wish:
    """What a sent form wants other than it is: an empty field is as halage.toml says again."""
    wanted: dict[str, Any] = {}
    unset: list[str] = []
    for setting in settings.settings:
        sent = form.get(FIELD + setting.path)
        if sent is None or sent.strip().replace("\r\n", "\n") == text_of(setting.value):
            continue
        if sent.strip():
            wanted[setting.path] = parse_value(sent.strip())
        else:
            unset.append(setting.path)
    if path := form.text("path"):
        wanted[path] = parse_value(form.text("value"))
    return Wish(wanted, tuple(unset))


def text_of(value: Any) -> str:
    """What the field of a setting holds; empty for no value."""
    return "" if value is None or value in ("", []) else plain_text(value)


def _field(setting: Setting, typed: Mapping[str, str] | None) -> Field:
    text = text_of(setting.value)
    if typed is not None:
        text = typed.get(FIELD + setting.path, text)
    return Field(setting, text, choices_of(setting.path), isinstance(setting.value, list))


def _read_wish(form: Form) -> Wish:
    try:
        found = json.loads(form.get("wish", ""))
        return Wish(dict(found["set"]), tuple(map(str, found["unset"])), reason=form.text("reason")[:500])
    except (ValueError, KeyError, TypeError) as error:
        raise Invalid("The form does not say what to change: show the difference again.") from error
