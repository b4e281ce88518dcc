"""`halage env config`: the settings of an environment, where they come from, changes and their history."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from halage.base.errors import Invalid
from halage.base.toml import parse_value, toml_value
from halage.cli import terminal
from halage.cli.environments import Environment, Project, follow_deployment
from halage.cli.exits import FAILED
from halage.cli.session import Session, session_of
from halage.cli.toml_text import settings_in, toml_of
from halage.cli.words import local

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is deployed.")]
Preview = Annotated[bool, typer.Option("--preview", help="Show what would be different, change nothing.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the history.")]
Release = Annotated[str | None, typer.Option("--release", help="The settings of a release, such as v7.")]


def show(
    context: typer.Context,
    project: Project,
    environment: Environment,
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH...]", help="A group, or what a path begins with.")
    ] = None,
    release: Release = None,
    said: Annotated[bool, typer.Option("--said", help="Without those that are as by default.")] = False,
) -> None:
    """Show every setting with the value that holds, and where it comes from."""
    session = session_of(context)
    with session.connect() as client:
        found = client.show_settings(project, environment, release=_number(release))
    chosen = [
        each
        for each in found["settings"]
        if (not said or each["source"] != "default") and _is_chosen(each, paths or [])
    ]
    rows = [[each["path"], _value(each), each["source"], _note(each)] for each in chosen]
    empty = "No setting has such a path." if paths else "Every setting is as by default."
    session.show(("setting", "value", "from", ""), rows, {**found, "settings": chosen}, empty=empty)


def set_(
    context: typer.Context,
    project: Project,
    environment: Environment,
    settings: Annotated[
        list[str], typer.Argument(metavar="PATH=VALUE...", help="Such as deployments.policy=canary.")
    ],
    reason: Reason = "",
    preview: Preview = False,
    wait: Wait = True,
) -> None:
    """Set settings on the server, over what halage.toml says; what serves gets them by a deployment."""
    wish = {"set": dict(_pair(each) for each in settings), "reason": reason, "is_preview": preview}
    _change(session_of(context), (project, environment), wish, wait)


def unset(
    context: typer.Context,
    project: Project,
    environment: Environment,
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Such as deployments.policy.")],
    reason: Reason = "",
    preview: Preview = False,
    wait: Wait = True,
) -> None:
    """Let settings be as halage.toml says again; a path stands for all that begin with it."""
    wish = {"unset": paths, "reason": reason, "is_preview": preview}
    _change(session_of(context), (project, environment), wish, wait)


def diff(
    context: typer.Context,
    project: Project,
    environment: Environment,
    release: Annotated[str | None, typer.Option("--release", help="Against a release, such as v7.")] = None,
    other: Annotated[str | None, typer.Option("--with", help="Against another environment.")] = None,
) -> None:
    """Show what is set on the server against halage.toml, or all against a release or environment."""
    session = session_of(context)
    if release and other:
        raise Invalid("Say --release or --with, not both.")
    with session.connect() as client:
        found = client.show_settings(project, environment)["settings"]
        if other or release:
            against = client.show_settings(project, other or environment, release=_number(release))
            before = {each["path"]: each["value"] for each in against["settings"]}
        else:
            before = {each["path"]: each["said"] for each in found}
    after = {each["path"]: each["value"] for each in found if not each["is_secret"]}
    hidden = {each["path"] for each in found if each["is_secret"]}
    differences = [
        {"path": path, "before": before.get(path), "after": after.get(path)}
        for path in dict.fromkeys((*after, *before))
        if before.get(path) != after.get(path) and path not in hidden
    ]
    _show_differences(session, differences, empty="There is no difference.")


def history(
    context: typer.Context,
    project: Project,
    environment: Environment,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=200, help="How many of the last ones.")
    ] = 20,
) -> None:
    """List the changes that were made on the server: who, when, what."""
    session = session_of(context)
    with session.connect() as client:
        found = client.list_settings_changes(project, environment, limit=limit)
    rows = [
        [
            local(each["at"]),
            each["by"],
            f"v{each['release']}" if each["release"] else "-",
            "\n".join(
                f"{one['path']}: {_shown(one['before'])} -> {_shown(one['after'])}"
                for one in each["differences"]
            ),
            each["reason"],
        ]
        for each in found
    ]
    session.show(
        ("when", "by", "release", "what", "why"), rows, found, empty="Nothing was set on the server."
    )


def export(
    context: typer.Context,
    project: Project,
    environment: Environment,
    server: Annotated[bool, typer.Option("--server", help="Only what is set on the server.")] = False,
    release: Release = None,
) -> None:
    """Print the settings that are not as by default in the form of halage.toml."""
    session = session_of(context)
    with session.connect() as client:
        found = client.show_settings(project, environment, release=_number(release))
    sources = {"server"} if server else {"server", "halage.toml"}
    settings = {
        each["path"]: each["value"]
        for each in found["settings"]
        if each["source"] in sources and each["value"] is not None and not each["path"].startswith("env.")
    }
    if session.wants_json:
        terminal.print_json(settings)
    else:
        sys.stdout.write(toml_of(environment, settings))


def import_(
    context: typer.Context,
    project: Project,
    environment: Environment,
    file: Annotated[typer.FileText, typer.Argument(help="In the form of halage.toml; - for stdin.")],
    reason: Reason = "",
    preview: Preview = False,
    wait: Wait = True,
) -> None:
    """Let the settings be those of a file; what it does not name is as halage.toml says."""
    session = session_of(context)
    wanted = settings_in(file.read(), environment)
    with session.connect() as client:
        said = {each["path"]: each["said"] for each in client.show_settings(project, environment)["settings"]}
    other = {path: value for path, value in wanted.items() if said.get(path) != value}
    why = reason or (f"import of {Path(file.name).name}" if file.name != "<stdin>" else "import")
    wish = {"set": other, "is_whole": True, "reason": why[:500], "is_preview": preview}
    _change(session, (project, environment), wish, wait)


def _change(session: Session, place: tuple[str, str], wish: Mapping[str, Any], wait: bool) -> None:
    with session.connect() as client:
        change = client.change_settings(*place, dict(wish))
        if change["deployment"] is not None and wait:
            change["deployment"] = follow_deployment(client, change["deployment"])
    empty = "Nothing is different."
    if session.wants_json:
        terminal.print_json(change)
    else:
        _show_differences(session, change["differences"], empty=empty)
        _tell(change, wish)
    deployment = change["deployment"]
    if wait and deployment is not None and deployment["state"] not in ("succeeded", "superseded", "waiting"):
        raise typer.Exit(FAILED)


def _tell(change: Mapping[str, Any], wish: Mapping[str, Any]) -> None:
    deployment = change["deployment"]
    if wish.get("is_preview"):
        terminal.print_note("Nothing was changed: this is a preview.")
    elif deployment is not None:
        why = f": {deployment['reason']}" if deployment["reason"] else ""
        words = deployment["state"].replace("_", " ")
        terminal.print_note(f"Release v{deployment['release']['number']}, deployment {words}{why}.")
    elif change["differences"]:
        terminal.print_note("Nothing is deployed here yet: the first release will have them.")


def _show_differences(session: Session, differences: Sequence[Mapping[str, Any]], *, empty: str) -> None:
    rows = [[each["path"], _shown(each["before"]), _shown(each["after"]), _how(each)] for each in differences]
    session.show(("setting", "before", "after", ""), rows, list(differences), empty=empty)


def _how(difference: Mapping[str, Any]) -> str:
    return "with new instances" if difference.get("is_live") is False else ""


def _is_chosen(setting: Mapping[str, Any], paths: Sequence[str]) -> bool:
    return not paths or any(
        path in (setting["group"], setting["path"]) or setting["path"].startswith(f"{path}.")
        for path in paths
    )


def _value(setting: Mapping[str, Any]) -> str:
    return "(secret)" if setting["is_secret"] else _shown(setting["value"])


def _shown(value: Any) -> str:
    return "-" if value is None else toml_value(value)


def _note(setting: Mapping[str, Any]) -> str:
    return "not deployed yet" if setting["is_pending"] and setting["source"] == "server" else ""


def _pair(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise Invalid(f"{text!r} is no setting: write PATH=VALUE, such as deployments.policy=canary.")
    return path.strip(), parse_value(value.strip())


def _number(release: str | None) -> int | None:
    if release is None:
        return None
    digits = release.removeprefix("v")
    if not digits.isdecimal():
        raise Invalid(f"A release is a number such as v7, not {release!r}; `halage env releases` lists them.")
    return int(digits)
